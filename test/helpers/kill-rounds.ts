/**
 * Rounds of `kill -9`: publishers and subscribers on one side, a server on the other that is killed at a random moment
 * after it is ready, and started again on the same data. The history is checked every few rounds and at the end.
 */
import assert from 'node:assert/strict'
import { type Client, connect, KEEP_FOREVER } from '../../client/index.js'
import { systemClock } from '../../src/common/clock.js'
import { below, chance, SeededRandom } from './faulty-random.js'
import { type LoggedRecord, SubscriberHistory, TopicHistory, type Verdict } from './kill-history.js'
import { Gate, publishSequenced, RawPublisher } from './kill-publishers.js'
import { MortalServer, pause } from './kill-server.js'

const KILL_MIN_MS = 5
const KILL_MAX_MS = 500
/** So often a server is killed while it starts, on top of its rounds. */
const KILLED_STARTING = 0.1
const READ_WINDOW = 10_000
/** Segments roll all the time, now and then, or never. */
const SEGMENT_BYTES = ['64KiB', '1MiB', '64MiB']
const RECONNECT = { minDelayMs: 5, maxDelayMs: 50 }

export interface KillOptions {
  readonly seed: number
  readonly roundsMin: number
  /** No further round is begun after this time, once there were `roundsMin`. */
  readonly budgetMs: number
  readonly checkEvery: number
  readonly env?: Readonly<Record<string, string>>
}

export interface KillResult {
  readonly rounds: number
  readonly kills: number
  readonly records: number
  readonly acked: number
  readonly duplicates: number
  readonly unacked: number
  readonly checks: number
  readonly restartsMs: readonly number[]
  readonly segmentBytes: string
}

interface Arena {
  readonly server: MortalServer
  readonly random: SeededRandom
  readonly gate: Gate
  readonly topics: readonly { readonly history: TopicHistory; readonly partitions: number }[]
  readonly subscribers: readonly SubscriberHistory[]
  readonly clients: Client[]
  readonly running: Promise<void>[]
}

export async function killRounds(options: KillOptions): Promise<KillResult> {
  const random = new SeededRandom(options.seed)
  const segmentBytes = SEGMENT_BYTES[below(random, SEGMENT_BYTES.length)] as string
  const server = await MortalServer.make(['--segment-bytes', segmentBytes], options.env)
  const arena: Arena = {
    server,
    random,
    gate: new Gate(),
    topics: [
      { history: new TopicHistory('one'), partitions: 1 },
      { history: new TopicHistory('many'), partitions: 4 },
    ],
    subscribers: [new SubscriberHistory(), new SubscriberHistory()],
    clients: [],
    running: [],
  }
  try {
    await server.start()
    await populate(arena)
    const { rounds, checks } = await play(arena, options)
    await arena.gate.hold(publishersOf(arena))
    const results = await check(arena)
    arena.gate.end()
    const sum = (pick: (one: (typeof results)[number]) => number) => results.reduce((all, one) => all + pick(one), 0)
    return {
      rounds,
      checks: checks + 1,
      kills: server.kills,
      records: sum(({ records }) => records),
      acked: sum(({ acked }) => acked),
      duplicates: sum(({ duplicates }) => duplicates),
      unacked: sum(({ unacked }) => unacked),
      restartsMs: server.restartsMs,
      segmentBytes,
    }
  } catch (error) {
    throw new Error(`seed ${options.seed}, segments of ${segmentBytes}: ${error}`, { cause: error })
  } finally {
    arena.gate.end()
    for (const client of arena.clients) await client.close()
    await server.remove()
    await Promise.allSettled(arena.running)
  }
}

/** Five publishers with sequences, two that retry without, one that gives up; a subscriber for each topic. */
async function populate(arena: Arena): Promise<void> {
  const { server, topics, random, gate } = arena
  for (const [index, { history, partitions }] of topics.entries()) {
    const client = await join(arena)
    await client.createTopic(history.topic, { retention: KEEP_FOREVER, partitions })
    arena.running.push(watch(client, history.topic, arena.subscribers[index] as SubscriberHistory))
  }
  for (let publisher = 0; publisher < 8; publisher++) {
    const { history, partitions } = topics[publisher % 2] as Arena['topics'][number]
    const isSequenced = publisher < 5
    const facts = { topic: history.topic, partitions, history: history.add(isSequenced), gate }
    const plan = { ...facts, random: new SeededRandom(below(random, 2 ** 31)) }
    const run = isSequenced
      ? publishSequenced(await join(arena), plan)
      : new RawPublisher(server.port, plan, publisher < 7).run()
    arena.running.push(run)
  }
}

async function join({ server, clients }: Pick<Arena, 'server' | 'clients'>): Promise<Client> {
  const client = await connect({ port: server.port, reconnect: RECONNECT, requestTimeoutMs: 120_000 })
  clients.push(client)
  return client
}

async function watch(client: Client, topic: string, history: SubscriberHistory): Promise<void> {
  const onLost = (lost: unknown) => void history.faults.push(`lost ${JSON.stringify(lost)}`)
  try {
    for await (const batch of client.topic(topic).subscribe({ window: 2_000, onLost }).batches()) {
      for (const { partition, offset, value } of batch) history.got({ partition, offset, payload: value })
    }
  } catch (error) {
    history.faults.push(`a subscriber was ended: ${error}`)
  }
}

async function play(arena: Arena, { roundsMin, budgetMs, checkEvery }: KillOptions) {
  const { server, random, gate } = arena
  const until = systemClock.monotonic() + budgetMs
  let rounds = 0
  let checks = 0
  while (rounds < roundsMin || systemClock.monotonic() < until) {
    await pause(KILL_MIN_MS + below(random, KILL_MAX_MS - KILL_MIN_MS))
    await server.kill()
    if (chance(random, KILLED_STARTING)) {
      server.spawn()
      await pause(below(random, 250))
      await server.kill()
    }
    await server.start()
    if (++rounds % checkEvery !== 0) continue
    await gate.hold(publishersOf(arena))
    await check(arena)
    gate.release()
    checks++
  }
  return { rounds, checks }
}

function publishersOf({ topics }: Arena): number {
  return topics.reduce((sum, { history }) => sum + history.publishers.length, 0)
}

/** Nothing is in flight. */
async function check(arena: Arena): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  for (const [index, { history }] of arena.topics.entries()) {
    const client = arena.clients[index] as Client
    const records = await readAll(client, history.topic)
    verdicts.push(history.check(records))
    const subscriber = arena.subscribers[index] as SubscriberHistory
    const isBehind = () => records.some(({ length }, partition) => !subscriber.hasSeen(partition, length))
    while (isBehind() && subscriber.faults.length === 0) await pause(5)
    subscriber.check(records)
  }
  return verdicts
}

/** All records of a topic by partition; any loss is a failure. */
export async function readAll(client: Client, topic: string): Promise<LoggedRecord[][]> {
  const { partitions } = await client.describe(topic)
  const found: LoggedRecord[][] = partitions.map(() => [])
  const isWhole = () => partitions.every(({ partition, end }) => (found[partition]?.length ?? 0) >= end)
  if (isWhole()) return found
  const losses: unknown[] = []
  const subscription = client.topic(topic).subscribe({ window: READ_WINDOW, onLost: (lost) => losses.push(lost) })
  for await (const batch of subscription.batches()) {
    for (const { partition, offset, value } of batch) found[partition]?.push({ partition, offset, payload: value })
    if (isWhole()) break
  }
  assert.deepEqual(losses, [], `records of ${topic} were lost`)
  return found
}
