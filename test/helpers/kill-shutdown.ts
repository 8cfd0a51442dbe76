/**
 * Rounds of SIGTERM while publishers go at full speed: everybody is answered or told, the process ends with 0 and in time,
 * and the next start has nothing to recover.
 */
import assert from 'node:assert/strict'
import { type Client, connect, KEEP_FOREVER, LeveretError } from '../../client/index.js'
import { below, SeededRandom } from './faulty-random.js'
import { type PublisherHistory, TopicHistory, type Verdict } from './kill-history.js'
import { readAll } from './kill-rounds.js'
import { MortalServer, pause } from './kill-server.js'
import { publishFrame, WireClient } from './wire-client.js'

const TOPIC = 'blasted'
const BATCH = 50
const PAYLOAD_BYTES = 200
const IN_FLIGHT = 16
const BLAST_MIN_MS = 20
const BLAST_MAX_MS = 300
/** What a recovery says of itself; a start after a clean stop must not say it. */
export const RECOVERY = /recovering \d+ partitions/
export const RECOVERY_LOG = { DEBUG: 'leveret:storage:log' }
/** What a publisher may be told when the server stops. */
const GOODBYES = ['LVT_SHUTTING_DOWN', 'LVT_DISCONNECTED', 'LVT_CLOSED', 'LVT_IN_DOUBT', 'LVT_UNAVAILABLE']

export interface ShutdownResult {
  readonly verdict: Verdict
  readonly stopsMs: readonly number[]
  /** Publishes that were refused or left in doubt, and were told so. */
  readonly told: number
}

/** All rounds on one data directory. */
export async function shutdownRounds(seed: number, rounds: number): Promise<ShutdownResult> {
  const random = new SeededRandom(seed)
  const server = await MortalServer.make(['--segment-bytes', '1MiB'], RECOVERY_LOG)
  const history = new TopicHistory(TOPIC)
  const stopsMs: number[] = []
  let told = 0
  try {
    await server.start()
    await withClient(server, (client) => client.createTopic(TOPIC, { retention: KEEP_FOREVER }))
    for (let round = 0; round < rounds; round++) {
      const blasts = [blast, blast, blastRaw, blastRaw].map((run, index) => run(server.port, history.add(index < 2)))
      await pause(BLAST_MIN_MS + below(random, BLAST_MAX_MS - BLAST_MIN_MS))
      const { code, stderr, tookMs } = await server.stop()
      assert.equal(code, 0, `round ${round} ended with ${code}:\n${stderr}`)
      stopsMs.push(tookMs)
      for (const count of await Promise.all(blasts)) told += count
      await server.start()
      assert.doesNotMatch(server.stderr, RECOVERY, `round ${round}: a clean stop was followed by a recovery`)
    }
    const verdict = await withClient(server, async (client) => history.check(await readAll(client, TOPIC)))
    return { verdict, stopsMs, told }
  } catch (error) {
    throw new Error(`seed ${seed}: ${error}`, { cause: error })
  } finally {
    await server.remove()
  }
}

async function withClient<Result>(server: MortalServer, use: (client: Client) => Promise<Result>): Promise<Result> {
  const client = await connect({ port: server.port })
  try {
    return await use(client)
  } finally {
    await client.close()
  }
}

/** Until the connection is gone. Every publish is acknowledged, or fails with a word; returns how many failed. */
async function blast(port: number, history: PublisherHistory): Promise<number> {
  const client = await connect({ port, reconnect: false })
  const topic = client.topic(TOPIC)
  const inFlight = new Set<Promise<void>>()
  let told = 0
  while (client.status === 'connected') {
    const first = history.sends.length
    const values = Array.from({ length: BATCH }, (_, index) => {
      const value = Buffer.from(history.make(PAYLOAD_BYTES))
      history.sent(first + index)
      return value
    })
    const one = topic.publishAll(values).then(
      (receipts) =>
        receipts.forEach(({ partition, offset }, index) => void history.ackedAt(first + index, partition, offset)),
      (error: unknown) => {
        told++
        const isExplicit = error instanceof LeveretError && GOODBYES.includes(error.code)
        if (!isExplicit) history.faults.push(`a publish failed with ${error}`)
      },
    )
    const entry = one.finally(() => inFlight.delete(entry))
    inFlight.add(entry)
    if (inFlight.size >= IN_FLIGHT) await Promise.race(inFlight)
  }
  await Promise.all(inFlight)
  await client.close()
  return told
}

/** The same over bare frames: what is not answered is followed by the server's goodbye. */
async function blastRaw(port: number, history: PublisherHistory): Promise<number> {
  const wire = await WireClient.connect({ port })
  const firsts = new Map<number, number>()
  let told = 0
  let isTold = false
  for (let id = 1; ; ) {
    while (firsts.size < IN_FLIGHT && !isTold && !wire.isOver) {
      const first = history.sends.length
      const payloads = Array.from({ length: BATCH }, () => history.make(PAYLOAD_BYTES))
      for (let index = 0; index < BATCH; index++) history.sent(first + index)
      firsts.set(id, first)
      wire.send(publishFrame(TOPIC, payloads, { id: id++ }))
    }
    const frame = await wire.next().catch(() => null)
    if (frame === null) break
    if (frame.kind === 'closing') isTold = true
    const first = firsts.get(frame.id)
    if (first === undefined) continue
    firsts.delete(frame.id)
    if (frame.kind === 'failure') told++
    if (frame.kind !== 'published') continue
    for (let index = 0; index < BATCH; index++)
      history.ackedAt(first + index, frame.partition, frame.baseOffset + index)
  }
  if (firsts.size > 0 && !isTold) history.faults.push(`${firsts.size} publishes were not answered, and no goodbye came`)
  wire.destroy()
  return told + firsts.size
}
