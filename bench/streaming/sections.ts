/**
 * The part of the page about NATS Streaming, and what its figures are held against.
 */
import type { Spread } from '../harness/statistics.js'
import { invalid, rangeOf, section, thousands } from '../harness/table.js'
import { atLeast, steadied, type Verdict } from '../verdict.js'
import { clientCase } from './clients.js'
import { DURABILITY, type PairRow, SIDES } from './pairs.js'
import { publishCase } from './publish.js'

export interface StreamingReport {
  readonly clients: readonly PairRow[]
  readonly publish: readonly PairRow[]
  readonly delivery: readonly PairRow[]
  /** How long this disk takes to sync a little that was appended. */
  readonly syncUs: Spread
}

const PUBLISH_RATIO_MIN = 1
/** Enough for the time of one sync to be shared by many. With less on the way a rate is that of the disk, which the peer does not wait for. */
const HELD_WINDOW = 1_024
const show = (value: number): string => value.toFixed(2)

export function streamingVerdicts({ clients, publish }: StreamingReport): Verdict[] {
  const wanted = [
    ...[100, 1024].map((payloadBytes) => [clients, clientCase(payloadBytes, 'publish')] as const),
    ...[100, 1024].flatMap((payloadBytes) =>
      [1, 16].map((connections) => [publish, publishCase(payloadBytes, connections, HELD_WINDOW)] as const),
    ),
  ]
  return wanted.flatMap(([rows, what]) => {
    const row = rows.find((each) => each.what === what)
    if (row === undefined) return []
    const ratio = row.problems.length > 0 ? null : row.ratio
    const verdict = atLeast(`NATS Streaming, ${what} / JetStream`, ratio?.median ?? null, PUBLISH_RATIO_MIN)
    return steadied(verdict, ratio)
  })
}

export function streamingSections({ clients, publish, delivery, syncUs }: StreamingReport): string {
  const micros = (value: number): string => String(Math.round(value))
  const sync = `${micros(syncUs.median)} us (p1-p99 ${rangeOf(syncUs, micros)})`
  return [
    `- **nats**: an fdatasync of this disk after 200 B appended takes ${sync}`,
    streamingSection('NATS Streaming through its Node client, JetStream through its own', clients),
    streamingSection('NATS Streaming and JetStream, raw publishes with acks', publish),
    streamingSection('NATS Streaming and JetStream, raw durable readers that ack', delivery),
  ]
    .filter((text) => text !== '')
    .join('\n\n')
}

function streamingSection(title: string, rows: readonly PairRow[]): string {
  if (rows.length === 0) return ''
  const lines = rows.flatMap((row) =>
    SIDES.map((side) => [
      row.what,
      DURABILITY[side],
      thousands(row.perSecond[side]?.median),
      rangeOf(row.perSecond[side], thousands),
      side === 'leveret' && row.ratio !== null ? `${show(row.ratio.median)}x (${rangeOf(row.ratio, show)})` : '',
      thousands(row.serverNs[side]?.median),
      side === 'leveret' ? invalid(row.problems) : '',
    ]),
  )
  const head = ['', '', 'messages/s', 'min-max', '/ JetStream', 'server ns/message', '']
  return section(title, [head, ...lines])
}
