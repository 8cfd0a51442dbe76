/**
 * Results as a page for people: Markdown that also reads well on a terminal.
 */
import type { ClientRow } from './client.js'
import { durableSections } from './durable/sections.js'
import { groupSections } from './groups/sections.js'
import type { Conditions } from './harness/conditions.js'
import type { Spread } from './harness/statistics.js'
import { invalid, kib, mib, rangeOf, section, thousands, times } from './harness/table.js'
import type { LatencyRow } from './latency.js'
import type { MemoryReport } from './memory.js'
import { natsSections } from './nats.js'
import { respSections } from './resp/sections.js'
import { type Results, verdictsOf } from './targets.js'
import type { ThroughputRow } from './throughput.js'
import type { Verdict } from './verdict.js'

/** `parts` names, for each bench, when it ran. */
export function pageOf(results: Results, conditions: Readonly<Record<string, Conditions>>): string {
  const sections = [
    '# Bench results',
    conditionLines(conditions),
    section('Targets', verdictTable(verdictsOf(results))),
    results.throughput === undefined ? '' : throughputSections(results.throughput),
    results.client === undefined ? '' : section('Through the clients, 100 B', clientTable(results.client)),
    results.latency === undefined ? '' : section('Latency at 10,000 records/s, 100 B', latencyTable(results.latency)),
    results.memory === undefined || results.memory === null ? '' : section('Memory', memoryTable(results.memory)),
    results.durable === undefined ? '' : durableSections(results.durable),
    results.groups === undefined ? '' : groupSections(results.groups),
    results.resp === undefined ? '' : respSections(results.resp),
    results.nats === undefined ? '' : natsSections(results.nats),
  ]
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`
}

function conditionLines(conditions: Readonly<Record<string, Conditions>>): string {
  return Object.entries(conditions)
    .map(([name, each]) => {
      const where = `${each.processors} x ${each.processor}, ${each.memoryGib} GiB, ${each.system}`
      const redis = each.redis === undefined ? '' : `, redis-server ${each.redis ?? 'not installed'}`
      const what = `Node ${each.node}, nats-server ${each.nats ?? 'not installed'}${redis}`
      return `- **${name}**: ${each.at}, ${where}, ${what}, ${each.runs} run${each.runs === 1 ? '' : 's'} each`
    })
    .join('\n')
}

function verdictTable(verdicts: readonly Verdict[]): string[][] {
  const rows = verdicts.map(({ what, figure, bound, isAtLeast, unit, verdict, isUnsteady }) => [
    what,
    figure === null ? '-' : `${figure.toFixed(2)} ${unit}`.trim(),
    `${isAtLeast ? 'at least' : 'at most'} ${bound} ${unit}`.trim(),
    isUnsteady === true ? `${verdict}, unsteady` : verdict,
  ])
  return [['figure', 'measured', 'target', ''], ...rows]
}

/** One table for each payload size and fan-out: the contenders of a comparison. */
function throughputSections(rows: readonly ThroughputRow[]): string {
  const titles = new Set(rows.map(titleOf))
  return Array.from(titles, (title) => {
    const group = rows.filter((row) => titleOf(row) === title)
    const nats = group.find(({ contender }) => contender === 'nats')?.perSecond?.median
    const relay = group.find(({ contender }) => contender === 'relay')?.perSecond?.median
    const lines = group.map((row) => [
      row.contender === 'leveret' ? `leveret, batch ${row.batch}` : CONTENDER_NAMES[row.contender],
      thousands(row.perSecond?.median),
      rangeOf(row.perSecond, thousands),
      thousands(row.perSecond === null ? undefined : row.perSecond.median * row.fanOut),
      times(row.perSecond?.median, nats),
      times(row.perSecond?.median, relay),
      thousands(row.serverNs?.median),
      invalid(row.problems),
    ])
    const head = ['', 'records/s', 'min-max', 'deliveries/s', '/ NATS', '/ relay', 'server ns/record', '']
    return section(`Throughput, ${title}`, [head, ...lines])
  }).join('\n\n')
}

const CONTENDER_NAMES = {
  leveret: 'leveret',
  'leveret-nats': 'leveret, NATS protocol',
  nats: 'core NATS',
  relay: 'relay that only copies',
  direct: 'bare loopback, one hop',
} as const

function titleOf({ payloadBytes, fanOut }: ThroughputRow): string {
  return `${payloadBytes} B, 1 publisher to ${fanOut}`
}

function clientTable(rows: readonly ClientRow[]): string[][] {
  const nats = rows.find(({ peer }) => peer === 'nats')?.perSecond?.median
  const lines = rows.map(({ peer, perSecond, problems }) => [
    peer === 'nats' ? 'core NATS, its Node client' : 'leveret client',
    thousands(perSecond?.median),
    rangeOf(perSecond, thousands),
    times(perSecond?.median, nats),
    invalid(problems),
  ])
  return [['', 'records/s', 'min-max', '/ NATS', ''], ...lines]
}

function latencyTable(rows: readonly LatencyRow[]): string[][] {
  const cell = (spread: Spread | null): string => {
    const micros = (value: number): string => String(Math.round(value))
    return spread === null ? '-' : `${micros(spread.median)} (${rangeOf(spread, micros)})`
  }
  const lines = rows.map(({ peer, perSecond, p50Us, p99Us, p999Us, problems }) => [
    peer === 'nats' ? 'core NATS' : 'leveret',
    thousands(perSecond?.median),
    cell(p50Us),
    cell(p99Us),
    cell(p999Us),
    invalid(problems),
  ])
  return [['', 'records/s', 'p50 us', 'p99 us', 'p99.9 us', ''], ...lines]
}

function memoryTable(memory: MemoryReport): string[][] {
  const { churn } = memory
  const line = (what: string, spread: Spread | null, show: (bytes: number) => string): string[] => [
    what,
    spread === null ? '-' : show(spread.median),
    rangeOf(spread, show),
  ]
  const lines = [
    line('idle server', memory.idleBytes, mib),
    line(`each of ${memory.connections} idle connections`, memory.bytesPerConnection, kib),
    line(`each of ${memory.topics} empty topics`, memory.bytesPerTopic, kib),
  ]
  if (churn !== null) {
    const { idleBytes, warmBytes, endBytes, filesBefore, filesAfter, connections } = churn
    lines.push([`churn of ${connections}: idle, warm, end`, [idleBytes, warmBytes, endBytes].map(mib).join(', '), ''])
    lines.push(['churn: open files before, after', `${filesBefore}, ${filesAfter}`, ''])
  }
  for (const problem of memory.problems) lines.push([`INVALID: ${problem}`, '', ''])
  return [['', 'median', 'min-max'], ...lines]
}
