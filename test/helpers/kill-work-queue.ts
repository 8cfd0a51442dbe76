/**
 * A work queue over real records: worker processes share them, and workers and the server are killed at random moments. In the
 * end each record was processed, none was processed after the server had said that its ack is safe, and the dead-letter topic
 * holds the records that were made to fail, each of them once.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Client, connect, KEEP_FOREVER, LeveretError } from '../../client/index.js'
import { systemClock } from '../../src/common/clock.js'
import { below, SeededRandom } from './faulty-random.js'
import { fileChanges, keyOf } from './file-changes.js'
import { MortalServer, pause } from './kill-server.js'
import { Running } from './leveret-process.js'
import { isDoomed, QUEUE_DELIVERIES_MAX, QUEUE_FAILURES, QUEUE_TOPIC } from './work-queue-fates.js'

const GROUP = 'workers'
const WORKER = fileURLToPath(new URL('./work-queue-worker.ts', import.meta.url))
const CHUNK = 1_000
const KILL_MIN_MS = 100
const KILL_MAX_MS = 800
/** One kill of so many is the server's. */
const SERVER_SHARE = 4
/** Without any progress for so long it hangs. */
const PATIENCE_MS = 60_000
const LOOK_MS = 100

export interface WorkQueueOptions {
  readonly seed: number
  readonly times: number
  readonly workers: number
  readonly killsMin: number
}

export interface WorkQueueResult {
  readonly records: number
  readonly workerKills: number
  readonly serverKills: number
  /** Records that were processed more than once, since their first ack was lost. */
  readonly repeated: number
  readonly deadLetters: number
  readonly tookMs: number
}

export async function workThrough(options: WorkQueueOptions): Promise<WorkQueueResult> {
  const server = await MortalServer.make()
  const journals = mkdtempSync(join(tmpdir(), 'leveret-work-'))
  const crew = new Crew(server, journals)
  try {
    await server.start()
    await using client = await connect({ port: server.port, reconnect: { minDelayMs: 5, maxDelayMs: 50 } })
    const records = await fill(client, options.times)
    const begunMs = systemClock.monotonic()
    for (let worker = 0; worker < options.workers; worker++) crew.hire(worker)
    await crew.harass(new SeededRandom(options.seed), options.killsMin, () => isWorkedThrough(client))
    await settled(client)
    const tookMs = systemClock.monotonic() - begunMs
    const deadLetters = await judgeDeadLetters(client, records)
    await crew.dismiss()
    const repeated = judgeJournals(journals, records)
    return { records, workerKills: crew.kills, serverKills: server.kills, repeated, deadLetters, tookMs }
  } catch (error) {
    throw new Error(`seed ${options.seed}: ${error}`, { cause: error })
  } finally {
    await crew.dismiss()
    await server.remove()
    rmSync(journals, { recursive: true, force: true })
  }
}

/** The workers, each with a journal that its successors go on with. */
class Crew {
  kills = 0
  readonly #server: MortalServer
  readonly #journals: string
  readonly #workers: Running[] = []

  constructor(server: MortalServer, journals: string) {
    this.#server = server
    this.#journals = journals
  }

  hire(worker: number): void {
    const words = ['--import', 'tsx', WORKER, String(this.#server.port), GROUP, join(this.#journals, `${worker}`)]
    this.#workers[worker] = new Running(words, {})
  }

  /** Kill one after the other until the work is done and there were kills enough. */
  async harass(random: SeededRandom, killsMin: number, isDone: () => Promise<boolean>): Promise<void> {
    while (!(await isDone()) || this.kills + this.#server.kills < killsMin) {
      await pause(KILL_MIN_MS + below(random, KILL_MAX_MS - KILL_MIN_MS))
      if (below(random, SERVER_SHARE) === 0) {
        await this.#server.kill()
        await this.#server.start()
      } else await this.#replace(below(random, this.#workers.length))
    }
  }

  async dismiss(): Promise<void> {
    for (const worker of this.#workers.splice(0)) {
      worker.signal('SIGKILL')
      await worker.ended
    }
  }

  async #replace(worker: number): Promise<void> {
    const running = this.#workers[worker] as Running
    assert.equal(running.child.exitCode, null, `worker ${worker} ended by itself:\n${running.stderr}`)
    running.signal('SIGKILL')
    await running.ended
    this.kills++
    this.hire(worker)
  }
}

/** Resolves with the number of records. */
async function fill(client: Client, times: number): Promise<number> {
  const records = fileChanges().lines.map((line) => ({ value: Buffer.from(line), key: keyOf(line) }))
  await client.createTopic(QUEUE_FAILURES, { retention: KEEP_FOREVER })
  await client.createTopic(QUEUE_TOPIC, {
    retention: KEEP_FOREVER,
    deadLetterTopic: QUEUE_FAILURES,
    maxDeliveries: QUEUE_DELIVERIES_MAX,
  })
  const topic = client.topic(QUEUE_TOPIC)
  for (let round = 0; round < times; round++) {
    for (let first = 0; first < records.length; first += CHUNK) {
      await topic.publishRecords(records.slice(first, first + CHUNK))
    }
  }
  return records.length * times
}

/** False also before the first worker has come. */
async function isWorkedThrough(client: Client): Promise<boolean> {
  try {
    return (await lagOf(client)) === 0
  } catch (error) {
    if (error instanceof LeveretError && error.code === 'LVT_GROUP_NOT_FOUND') return false
    throw error
  }
}

async function lagOf(client: Client): Promise<number> {
  const { lag } = await client.describeGroup(QUEUE_TOPIC, GROUP)
  return lag
}

/** Until everything is acked, or dead. */
async function settled(client: Client): Promise<void> {
  let lag = await lagOf(client)
  let movedMs = systemClock.monotonic()
  while (lag > 0) {
    await pause(LOOK_MS)
    const now = await lagOf(client)
    if (now < lag) movedMs = systemClock.monotonic()
    else if (systemClock.monotonic() - movedMs > PATIENCE_MS)
      assert.fail(`the group stands still with ${lag} records to go`)
    lag = now
  }
}

async function judgeDeadLetters(client: Client, records: number): Promise<number> {
  const expected = Array.from({ length: records }, (_, offset) => offset).filter(isDoomed)
  const { partitions } = await client.describe(QUEUE_FAILURES)
  const found: number[] = []
  const until = partitions[0]?.end ?? 0
  const subscription = client.topic(QUEUE_FAILURES).subscribe({ until, window: CHUNK })
  for await (const { headers } of subscription) {
    const place = headers.find(({ name }) => name === 'leveret-offset')
    found.push(Number(Buffer.from(place?.value ?? []).toString()))
  }
  found.sort((a, b) => a - b)
  assert.deepEqual(found, expected, 'the dead letters are the records made to fail, each of them once')
  return found.length
}

/** Returns how many records were processed more than once. */
function judgeJournals(folder: string, records: number): number {
  const done = new Map<number, bigint[]>()
  const told = new Map<number, bigint>()
  for (const name of readdirSync(folder)) {
    // A worker that was killed while it wrote leaves half a line.
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n')) {
      const [, word, offset, time] = /^(done|told) (\d+) (\d+)$/.exec(line) ?? []
      if (word === 'done') done.set(Number(offset), [...(done.get(Number(offset)) ?? []), BigInt(time as string)])
      if (word === 'told') told.set(Number(offset), BigInt(time as string))
    }
  }
  let repeated = 0
  for (let offset = 0; offset < records; offset++) {
    const times = done.get(offset) ?? []
    assert.equal(times.length === 0, isDoomed(offset), `record ${offset} was processed ${times.length} times`)
    const toldAt = told.get(offset)
    const late = toldAt === undefined ? [] : times.filter((time) => time > toldAt)
    assert.deepEqual(late, [], `record ${offset} was processed after the server had said that its ack is safe`)
    if (times.length > 1) repeated++
  }
  return repeated
}
