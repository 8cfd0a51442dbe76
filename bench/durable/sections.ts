/**
 * The durable part of the page: what is compared stands in one table, each line with its durability.
 */
import type { DurableReport } from '../durable.js'
import type { Spread } from '../harness/statistics.js'
import { invalid, mib, rangeOf, section, thousands, times } from '../harness/table.js'
import type { AckLatencyRow } from './ack-latency.js'
import type { PublishRow } from './publish.js'
import type { StoredRow } from './stored.js'
import type { BesideRow, TailRow } from './tail.js'

export function durableSections(report: DurableReport): string {
  const { publish, stored, tail, beside, ackLatency, missing, syncUs } = report
  const sections = [
    notes(missing, syncUs),
    ...publishSections(publish),
    stored.length === 0
      ? ''
      : section(`Stored, ${thousands(stored[0]?.records)} records of 100 B`, storedTable(stored)),
    tail.length === 0 ? '' : section('Read at the tail beside its publisher, 100 B', tailTable(tail)),
    beside === null
      ? ''
      : section('Live 1 to 1 on one topic, durable publishing on another, 100 B', besideTable(beside)),
    ackLatency.length === 0 ? '' : section('Acknowledged at 10,000 records/s, 100 B', ackTable(ackLatency)),
  ]
  return sections.filter((text) => text !== '').join('\n\n')
}

function notes(missing: readonly string[], syncUs: Spread): string {
  const sync = `${Math.round(syncUs.median)} us (p1-p99 ${rangeOf(syncUs, (value) => String(Math.round(value)))})`
  return [`an fdatasync of this disk after 200 B appended takes ${sync}`, ...missing]
    .map((sentence) => `- **durable**: ${sentence}`)
    .join('\n')
}

function publishSections(rows: readonly PublishRow[]): string[] {
  const titles = new Set(rows.map(titleOf))
  return Array.from(titles, (title) => {
    const group = rows.filter((row) => titleOf(row) === title)
    const rate = (id: string): number | undefined => group.find(({ contender }) => contender === id)?.perSecond?.median
    const lines = group.map((row) => [
      row.contender.startsWith('leveret') ? `${row.name}, batch ${row.batch}` : row.name,
      thousands(row.perSecond?.median),
      rangeOf(row.perSecond, thousands),
      times(row.perSecond?.median, rate('jetstream-default')),
      times(row.perSecond?.median, rate('redis-always')),
      thousands(row.serverNs?.median),
      invalid(row.problems),
    ])
    const head = ['', 'records/s', 'min-max', '/ JetStream default', '/ Redis always', 'server ns/record', '']
    return section(`Publish with acks, ${title}`, [head, ...lines])
  })
}

function titleOf({ payloadBytes, publishers }: PublishRow): string {
  return `${payloadBytes} B, ${publishers} publisher${publishers === 1 ? '' : 's'}`
}

function storedTable(rows: readonly StoredRow[]): string[][] {
  const ratio = (value: number | null): string => (value === null ? '-' : `${value.toFixed(2)}x`)
  const bytes = (value: number | null): string => (value === null ? '-' : mib(value))
  const head = ['', 'on disk', 'after the end', 'resident', 'idle', 'most while read', 'read records/s', 'min-max', '']
  const lines = rows.map((row) => [
    row.name,
    ratio(row.diskRatio),
    ratio(row.diskRatioClosed),
    bytes(row.loadedBytes),
    bytes(row.idleBytes),
    bytes(row.readingBytesMax),
    thousands(row.readPerSecond?.median),
    rangeOf(row.readPerSecond, thousands),
    invalid(row.problems),
  ])
  return [head, ...lines]
}

function tailTable(rows: readonly TailRow[]): string[][] {
  const lines = rows.map(({ name, contender, perSecond, problems }) => [
    contender.startsWith('leveret') ? `${name}, batch 100` : name,
    thousands(perSecond?.median),
    rangeOf(perSecond, thousands),
    invalid(problems),
  ])
  return [['', 'records/s', 'min-max', ''], ...lines]
}

function besideTable({ alone, besideMemory, besideDisk, recordsBesidePerSecond, problems }: BesideRow): string[][] {
  const line = (what: string, spread: Spread | null): string[] => [
    what,
    thousands(spread?.median),
    rangeOf(spread, thousands),
    times(spread?.median, alone?.median),
  ]
  const lines = [
    line('leveret, live, memory, alone', alone),
    line(`leveret, live, memory, beside ${thousands(recordsBesidePerSecond)} records/s at memory`, besideMemory),
    line(`leveret, live, memory, beside ${thousands(recordsBesidePerSecond)} records/s at disk`, besideDisk),
  ]
  if (problems.length > 0) lines.push([invalid(problems), '', '', ''])
  return [['', 'records/s', 'min-max', '/ alone'], ...lines]
}

function ackTable(rows: readonly AckLatencyRow[]): string[][] {
  const cell = (spread: Spread | null): string => {
    const micros = (value: number): string => String(Math.round(value))
    return spread === null ? '-' : `${micros(spread.median)} (${rangeOf(spread, micros)})`
  }
  const lines = rows.map(({ name, perSecond, p50Us, p99Us, p999Us, problems }) => [
    name,
    thousands(perSecond?.median),
    cell(p50Us),
    cell(p99Us),
    cell(p999Us),
    invalid(problems),
  ])
  return [['', 'records/s', 'p50 us', 'p99 us', 'p99.9 us', ''], ...lines]
}
