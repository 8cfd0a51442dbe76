/**
 * The reliability tests at length, in turn, until the minutes are over: `npm run soak -- --minutes N [--only NAME] [--seed S]`.
 * Prints the seed of each run, so that `--only NAME --seed S` begins with the one that failed. Ends with 1 on the first
 * failure of any part; the other parts have had their turn until then.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { systemClock } from '../src/common/clock.js'
import { killDialects } from '../test/helpers/kill-dialects.js'
import { publishRealInput } from '../test/helpers/kill-real-input.js'
import { killRounds } from '../test/helpers/kill-rounds.js'
import { spread } from '../test/helpers/kill-server.js'
import { shutdownRounds } from '../test/helpers/kill-shutdown.js'
import { stanRounds } from '../test/helpers/kill-stan.js'
import { workThrough } from '../test/helpers/kill-work-queue.js'
import { weatherStorm } from '../test/helpers/rebalance-storm.js'
import { fuzzAtLength, soakCrowds } from '../test/helpers/resp-soak.js'

const SIMULATIONS = 'test/storage/log'
const KILL_ROUNDS = 50
const SHUTDOWN_ROUNDS = 50
const SIMULATED_ROUNDS = 300
/** A hang fails; rounds that take their time do not. */
const SIMULATED_FILE_MS = 3_600_000
/** The whole of it at once: 3.2 million records. */
const REAL_INPUT_TIMES = 1_000
const REAL_INPUT_KILLS_MIN = 20
const WORK_QUEUE_TIMES = 100
const WORK_QUEUE_KILLS_MIN = 40
const STORM_MS = 600_000
const STORM_EVERY_MS = 200
const DIALECT_KILLS_MS = 600_000
const DIALECT_LIFE_MS = 1_000
const CONVERSATIONS = 20_000
const STAN_MS = 120_000
const STAN_KILLS_MIN = 40

interface Part {
  readonly name: string
  /** Resolves with a line for the summary; throws on failure. */
  run(seed: number): Promise<string>
}

const PARTS: readonly Part[] = [
  {
    name: 'kill',
    async run(seed) {
      const { restartsMs, ...counts } = await killRounds({ seed, roundsMin: KILL_ROUNDS, budgetMs: 0, checkEvery: 10 })
      return `${facts(counts)}; restarts ${spread(restartsMs)}; acked lost 0, reordered 0`
    },
  },
  {
    name: 'shutdown',
    async run(seed) {
      const { verdict, stopsMs, told } = await shutdownRounds(seed, SHUTDOWN_ROUNDS)
      return `rounds ${stopsMs.length}, ${facts(verdict)}, told of failure ${told}; stops ${spread(stopsMs)}`
    },
  },
  {
    name: 'real-input',
    async run(seed) {
      const options = { seed, times: REAL_INPUT_TIMES, killsMin: REAL_INPUT_KILLS_MIN }
      const { restartsMs, ...counts } = await publishRealInput(options, say)
      return `${facts(counts)}; restarts ${spread(restartsMs)}; lost 0, duplicates 0, reordered 0`
    },
  },
  {
    name: 'work-queue',
    async run(seed) {
      const options = { seed, times: WORK_QUEUE_TIMES, workers: 8, killsMin: WORK_QUEUE_KILLS_MIN }
      return `${facts(await workThrough(options))}; lost 0, processed after a safe ack 0`
    },
  },
  {
    name: 'storm',
    async run(seed) {
      return facts(await weatherStorm({ seed, forMs: STORM_MS, everyMs: STORM_EVERY_MS }))
    },
  },
  {
    name: 'dialect-kills',
    async run(seed) {
      // `LEVERET_SOAK_MS` makes it shorter, or longer.
      const forMs = Number(process.env['LEVERET_SOAK_MS'] ?? DIALECT_KILLS_MS)
      const { restartsMs, ...counts } = await killDialects({ seed, forMs, lifeMs: DIALECT_LIFE_MS })
      return `${facts(counts)}; restarts ${spread(restartsMs)}; answered and lost 0, out of order 0, acked and again 0`
    },
  },
  {
    name: 'resp-crowds',
    async run() {
      await soakCrowds(say)
      return 'nobody who behaves has noticed'
    },
  },
  {
    name: 'resp-fuzz',
    async run(seed) {
      await fuzzAtLength(seed, Number(process.env['LEVERET_ROUNDS'] ?? CONVERSATIONS), say)
      return 'whole and cut are the same'
    },
  },
  {
    name: 'stan',
    async run(seed) {
      const options = { seed, publishers: 4, workers: 4, forMs: STAN_MS, killsMin: STAN_KILLS_MIN }
      const { restartsMs, ...counts } = await stanRounds(options)
      return `${facts(counts)}; restarts ${spread(restartsMs)}; acked lost 0, unflagged 0, acks forgotten 0`
    },
  },
  { name: 'simulations', run: simulate },
]

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { minutes: { type: 'string' }, only: { type: 'string' }, seed: { type: 'string' } },
  })
  const parts = PARTS.filter(({ name }) => values.only === undefined || name === values.only)
  if (parts.length === 0) throw new Error(`--only knows ${PARTS.map(({ name }) => name).join(', ')}`)
  let seed = Number(values.seed ?? Date.now() % 2 ** 31)
  // Without minutes each part has one run.
  const minutes = Number(values.minutes ?? 0)
  if (!Number.isFinite(seed) || !Number.isFinite(minutes)) throw new Error('--minutes and --seed are numbers')
  const until = systemClock.monotonic() + minutes * 60_000
  const runs = new Map<string, number>()
  const failures: string[] = []
  do {
    for (const part of parts) {
      const begunMs = systemClock.monotonic()
      if (runs.has(part.name) && begunMs > until) break
      say(`${part.name}, seed ${seed}`)
      runs.set(part.name, (runs.get(part.name) ?? 0) + 1)
      try {
        const line = await part.run(seed)
        say(
          `${part.name}, seed ${seed}: passed in ${Math.round((systemClock.monotonic() - begunMs) / 1000)} s: ${line}`,
        )
      } catch (error) {
        failures.push(`${part.name}, seed ${seed}`)
        console.error(`${part.name}, seed ${seed}: FAILED`, error)
      }
      seed++
    }
  } while (failures.length === 0 && systemClock.monotonic() < until)
  say(`runs: ${[...runs].map(([name, count]) => `${name} ${count}`).join(', ')}`)
  say(failures.length === 0 ? 'all passed' : `failed: ${failures.join('; ')}`)
  process.exitCode = failures.length === 0 ? 0 : 1
}

/** The seeded suites over the failing file system; each reads its rounds and its seed from the environment. */
async function simulate(seed: number): Promise<string> {
  if (!existsSync(SIMULATIONS)) throw new Error(`there is no ${SIMULATIONS}`)
  const env = { ...process.env, LEVERET_ROUNDS: String(SIMULATED_ROUNDS), LEVERET_SEED: String(seed) }
  const words = ['--import', 'tsx', 'scripts/test.ts', '--unit', `--test-timeout=${SIMULATED_FILE_MS}`, SIMULATIONS]
  const child = spawn(process.execPath, words, { env, stdio: 'inherit' })
  const code = await new Promise((resolve) => child.on('exit', resolve))
  if (code !== 0) throw new Error(`the suites under ${SIMULATIONS} ended with ${code}`)
  return `suites under ${SIMULATIONS}, LEVERET_ROUNDS=${SIMULATED_ROUNDS}`
}

function facts(values: object): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${typeof value === 'number' ? Math.round(value) : value}`)
    .join(', ')
}

function say(line: string): void {
  console.log(line)
}

await main()
