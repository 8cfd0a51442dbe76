/**
 * The part of the page about the dialects of RESP: each line with its durability, and leveret over each peer turn by turn.
 */
import type { Spread } from '../harness/statistics.js'
import { invalid, rangeOf, section, thousands } from '../harness/table.js'
import type { RespReport } from '../resp.js'
import type { IdleKind, IdleRow } from './idle.js'
import { type Measured, ratios } from './turns.js'

export function respSections({ push, consume, events, idle, missing }: RespReport): string {
  const sections = [
    missing.map((sentence) => `- **resp**: ${sentence}`).join('\n'),
    ...[...new Set(push.map((row) => titleOfPush(row)))].map((title) =>
      section(
        title,
        tableOf(
          'pipeline of',
          push.filter((row) => titleOfPush(row) === title).map(({ depth, sides }) => [String(depth), sides]),
        ),
      ),
    ),
    ...[...new Set(consume.map((row) => titleOfConsume(row)))].map((title) =>
      section(
        title,
        tableOf(
          'messages a fetch',
          consume.filter((row) => titleOfConsume(row) === title).map(({ count, sides }) => [String(count), sides]),
        ),
      ),
    ),
    ...[...new Set(events.map(({ payloadBytes }) => payloadBytes))].map((bytes) =>
      section(
        `Live events, ${bytes} B, one publisher`,
        tableOf(
          'subscribers',
          events
            .filter(({ payloadBytes }) => payloadBytes === bytes)
            .map(({ subscribers, sides }) => [String(subscribers), sides]),
        ),
      ),
    ),
    idle.length === 0 ? '' : section('Idle, in the dialects of RESP', idleTable(idle)),
  ]
  return sections.filter((text) => text !== '').join('\n\n')
}

function titleOfPush({ payloadBytes, connections }: RespReport['push'][number]): string {
  return `RPUSH beside XADD, ${payloadBytes} B, ${plural(connections, 'connection')}`
}

function titleOfConsume({ connections, depth }: RespReport['consume'][number]): string {
  return `HMGET and HDEL beside XREADGROUP and XACK, 100 B, ${plural(connections, 'connection')}, ${plural(depth, 'fetch', 'fetches')} under way on each`
}

function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`
}

/** One line for each contender of each case; the ratios stand with the peers, as leveret over that peer. */
function tableOf<Id extends string>(
  what: string,
  cases: readonly (readonly [string, readonly Measured<Id>[]])[],
): string[][] {
  const [first] = cases
  const ours = first?.[1].filter(({ name }) => name.startsWith('leveret')) ?? []
  const head = [what, '', 'a second', 'min-max', ...ours.map(({ name }) => `${name} /`), 'server ns', '']
  const lines = cases.flatMap(([value, sides]) =>
    sides.map((side) => [
      value,
      side.name,
      thousands(side.perSecond?.median),
      rangeOf(side.perSecond, thousands),
      ...ours.map(({ contender }) => {
        const mine = sides.find((each) => each.contender === contender)
        return mine?.name.startsWith('leveret') && !side.name.startsWith('leveret') ? ratioOf(ratios(mine, side)) : ''
      }),
      thousands(side.serverNs?.median),
      invalid(side.problems),
    ]),
  )
  return [head, ...lines]
}

const IDLE_NAMES: Readonly<Record<IdleKind, string>> = {
  consumers: 'consumers in a long poll, beyond their connections',
  channels: 'channels of one queue',
  subscriptions: 'MeiliES subscriptions, beyond their connections',
}

function idleTable(rows: readonly IdleRow[]): string[][] {
  const bytes = (value: number): string => String(Math.round(value))
  const lines = rows.map(({ kind, count, heapBytesEach, residentBytesEach, problems }) => [
    `each of ${thousands(count)} ${IDLE_NAMES[kind]}`,
    heapBytesEach === null ? '-' : bytes(heapBytesEach.median),
    residentBytesEach === null ? '-' : bytes(residentBytesEach.median),
    invalid(problems),
  ])
  return [['', 'heap, bytes', 'resident, bytes', ''], ...lines]
}

function ratioOf(spread: Spread | null): string {
  if (spread === null) return '-'
  return `${spread.median.toFixed(2)}x (${rangeOf(spread, (value) => value.toFixed(2))})`
}
