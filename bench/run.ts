/**
 * npm run bench [-- --quick] [--only <name>] [--case <pattern>] [--runs <n>] [--cpu-prof]: measures leveret beside its peers and its
 * limits, prints the page, and keeps it in bench/results/ unless the run was quick, partial or profiled. bench/README.md
 * says how each figure comes about.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { benchClient } from './client.js'
import { benchDurable } from './durable.js'
import { benchGroups } from './groups.js'
import { Bench } from './harness/bench.js'
import { type Conditions, conditionsNow } from './harness/conditions.js'
import { selfTimes } from './harness/self-time.js'
import { CACHE, WorkerCode } from './harness/worker.js'
import { benchLatency } from './latency.js'
import { benchMemory } from './memory.js'
import { benchNats } from './nats.js'
import { findJetStream, findNats } from './peers/nats.js'
import { findRedis } from './peers/redis.js'
import { pageOf } from './report.js'
import { benchResp } from './resp.js'
import type { Results } from './targets.js'
import { benchThroughput } from './throughput.js'

const RESULTS = fileURLToPath(new URL('results', import.meta.url))

const BENCHES = {
  throughput: benchThroughput,
  client: benchClient,
  latency: benchLatency,
  memory: benchMemory,
  durable: benchDurable,
  groups: benchGroups,
  resp: benchResp,
  nats: benchNats,
} as const

type Name = keyof typeof BENCHES
const NAMES = Object.keys(BENCHES) as Name[]

interface Kept {
  readonly conditions: Conditions
  readonly results: unknown
}

type Peers = Pick<Bench, 'nats' | 'jetstream' | 'redis'>

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      runs: { type: 'string' },
      case: { type: 'string', default: '' },
      'cpu-prof': { type: 'boolean', default: false },
    },
  })
  const names = NAMES.filter((name) => values.only === undefined || values.only === name)
  if (names.length === 0) throw new Error(`--only takes one of ${NAMES.join(', ')}`)
  const runs = Number(values.runs ?? (values.quick ? 1 : 3))
  if (!Number.isInteger(runs) || runs < 1) throw new Error('--runs takes a whole number from 1')
  const profiles = values['cpu-prof'] ? join(CACHE, `profiles-${process.pid}`) : null

  const nats = findNats()
  using code = new WorkerCode()
  const peers = { nats, jetstream: findJetStream(), redis: findRedis() }
  using bench = new Bench({ code, ...peers, isQuick: values.quick, runs, profiles, filter: new RegExp(values.case) })
  if (nats === null)
    bench.say('nats-server is not installed: its rows are left out (on Debian: apt-get install nats-server)')

  const done: Partial<Record<Name, Kept>> = {}
  for (const name of names) {
    bench.say(name)
    const conditions = conditionsNow(versionsFor(name, peers), runs)
    done[name] = { conditions, results: await BENCHES[name](bench) }
  }
  if (!values.quick && profiles === null && values.case === '') keep(done)
  console.log(page(done))
  if (profiles !== null) {
    for (const folder of readdirSync(profiles)) console.log(selfTimes(join(profiles, folder), 25).join('\n'))
  }
}

/** Of the peers that stand in the tables of a bench. */
function versionsFor(name: Name, { nats, jetstream, redis }: Peers): Pick<Conditions, 'nats' | 'redis'> {
  if (name === 'resp') return { nats: null, redis: redis?.version ?? null }
  if (name === 'nats' && nats !== null && jetstream !== null && nats.version !== jetstream.version) {
    return { nats: `${nats.version} and, for JetStream, ${jetstream.version}` }
  }
  if (name !== 'durable' && name !== 'groups') return { nats: nats?.version ?? null }
  return { nats: jetstream?.version ?? null, redis: redis?.version ?? null }
}

/** Write what was measured, and the page anew from all that is kept. */
function keep(done: Partial<Record<Name, Kept>>): void {
  mkdirSync(RESULTS, { recursive: true })
  for (const name of NAMES) {
    if (done[name] !== undefined) writeFileSync(fileOf(name), `${JSON.stringify(done[name], null, 2)}\n`)
  }
  const kept: Partial<Record<Name, Kept>> = {}
  for (const name of NAMES) {
    if (existsSync(fileOf(name))) kept[name] = JSON.parse(readFileSync(fileOf(name), 'utf8')) as Kept
  }
  writeFileSync(join(RESULTS, 'latest.md'), page(kept))
}

function page(kept: Partial<Record<Name, Kept>>): string {
  const results: Record<string, unknown> = {}
  const conditions: Record<string, Conditions> = {}
  for (const name of NAMES) {
    const part = kept[name]
    if (part === undefined) continue
    results[name] = part.results
    conditions[name] = part.conditions
  }
  return pageOf(results as Results, conditions)
}

function fileOf(name: Name): string {
  return join(RESULTS, `${name}.json`)
}

await main()
