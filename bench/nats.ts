/**
 * leveret beside nats-server: core publish and subscribe, both spoken to in the NATS protocol by the same raw sockets, each server
 * at its own limit; and NATS Streaming beside JetStream.
 */
import { measureSync } from './durable/disk-sync.js'
import type { Bench } from './harness/bench.js'
import { Rig, type Round, type ThroughputCase } from './harness/rig.js'
import { type Spread, spreadOrNull } from './harness/statistics.js'
import { invalid, rangeOf, section, thousands, times } from './harness/table.js'
import { benchStreamingClients } from './streaming/clients.js'
import { benchStreamingDelivery } from './streaming/delivery.js'
import { benchStreamingPublish } from './streaming/publish.js'
import { type StreamingReport, streamingSections, streamingVerdicts } from './streaming/sections.js'
import { atLeast, ratio, steadied, type Verdict } from './verdict.js'

type Contender = 'nats' | 'leveret-nats'

export interface CoreRow {
  readonly contender: Contender
  readonly payloadBytes: number
  readonly fanOut: number
  /** Messages published a second; each reaches every subscriber. */
  readonly perSecond: Spread | null
  readonly serverNs: Spread | null
  readonly problems: readonly string[]
}

export interface NatsReport {
  readonly core: readonly CoreRow[]
  readonly streaming: StreamingReport
}

const CASES: readonly (readonly [payloadBytes: number, fanOut: number])[] = [
  [16, 1],
  [100, 1],
  [100, 4],
  [1024, 1],
]
const FIRST_MESSAGES = 100_000
const WARM_UP_SECONDS = 0.35
const RATIO_MIN = 0.25

export async function benchNats(bench: Bench): Promise<NatsReport> {
  const contenders: readonly Contender[] = bench.nats === null ? ['leveret-nats'] : ['nats', 'leveret-nats']
  const core: CoreRow[] = []
  for (const [payloadBytes, fanOut] of CASES) core.push(...(await benchCore(bench, contenders, payloadBytes, fanOut)))
  const streaming = {
    syncUs: await measureSync(bench),
    clients: await benchStreamingClients(bench),
    publish: await benchStreamingPublish(bench),
    delivery: await benchStreamingDelivery(bench),
  }
  return { core, streaming }
}

/** Contenders take turns, so that noise hits all alike. */
async function benchCore(bench: Bench, contenders: readonly Contender[], payloadBytes: number, fanOut: number) {
  const samples = contenders
    .map((contender) => ({ contender, rounds: [] as Round[], problems: [] as string[] }))
    .filter(({ contender }) => bench.filter.test(labelOf(contender, payloadBytes, fanOut)))
  for (let run = 0; run < bench.runs; run++) {
    for (const { contender, rounds, problems } of samples) {
      const label = labelOf(contender, payloadBytes, fanOut)
      const each = { contender, payloadBytes, batch: 1, fanOut }
      const round = await bench.attempt(label, problems, () => measure(bench, each, label))
      if (round === null) continue
      rounds.push(round)
      const cost = round.serverNs === null ? '' : `, ${Math.round(round.serverNs)} ns of the server each`
      bench.say(`  ${label}: ${Math.round(round.perSecond).toLocaleString('en')} messages/s${cost}`)
    }
  }
  return samples.map(({ contender, rounds, problems }) => ({
    contender,
    payloadBytes,
    fanOut,
    perSecond: spreadOrNull(rounds.map(({ perSecond }) => perSecond)),
    serverNs: spreadOrNull(rounds.flatMap(({ serverNs }) => serverNs ?? [])),
    problems,
  }))
}

function labelOf(contender: Contender, payloadBytes: number, fanOut: number): string {
  return `core ${contender} ${payloadBytes} B 1 to ${fanOut}`
}

async function measure(bench: Bench, each: ThroughputCase, label: string): Promise<Round> {
  await using rig = await Rig.open(bench, each, label.replaceAll(' ', '-'))
  const cold = await rig.round(FIRST_MESSAGES)
  const warm = await rig.round(Math.ceil(cold.perSecond * WARM_UP_SECONDS))
  return await rig.round(Math.ceil(warm.perSecond * (bench.isQuick ? 0.5 : 1)))
}

export function natsVerdicts({ core, streaming }: NatsReport): Verdict[] {
  return [...coreVerdicts(core), ...streamingVerdicts(streaming)]
}

function coreVerdicts(core: NatsReport['core']): Verdict[] {
  return CASES.filter(([, fanOut]) => fanOut === 1).map(([payloadBytes, fanOut]) => {
    const of = (contender: Contender): Spread | null =>
      core.find((row) => row.contender === contender && row.payloadBytes === payloadBytes && row.fanOut === fanOut)
        ?.perSecond ?? null
    const [ours, theirs] = [of('leveret-nats'), of('nats')]
    const what = `NATS protocol, ${payloadBytes} B, 1 to ${fanOut} / nats-server`
    return steadied(atLeast(what, ratio(ours?.median ?? null, theirs?.median ?? null), RATIO_MIN), ours, theirs)
  })
}

export function natsSections({ core, streaming }: NatsReport): string {
  return [coreSections(core), streamingSections(streaming)].filter((text) => text !== '').join('\n\n')
}

function coreSections(core: NatsReport['core']): string {
  return CASES.flatMap(([payloadBytes, fanOut]) => {
    const rows = core.filter((row) => row.payloadBytes === payloadBytes && row.fanOut === fanOut)
    if (rows.length === 0) return []
    const nats = rows.find(({ contender }) => contender === 'nats')?.perSecond?.median
    const lines = rows.map(({ contender, perSecond, serverNs, problems }) => [
      contender === 'nats' ? 'nats-server' : 'leveret',
      thousands(perSecond?.median),
      rangeOf(perSecond, thousands),
      times(perSecond?.median, nats),
      thousands(serverNs?.median),
      invalid(problems),
    ])
    const head = ['', 'messages/s', 'min-max', '/ nats-server', 'server ns/message', '']
    return section(`NATS protocol, core, ${payloadBytes} B, 1 publisher to ${fanOut}`, [head, ...lines])
  }).join('\n\n')
}
