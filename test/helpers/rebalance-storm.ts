/**
 * Members of a partitioned group come and go all the time while records are published: some say goodbye, some are cut off. Each
 * partition is acked by one member in a generation, its records are processed in order and without a gap, and in the end all of
 * them are.
 */
import assert from 'node:assert/strict'
import { type Client, connect, KEEP_FOREVER, LeveretError, type Subscription } from '../../client/index.js'
import { systemClock } from '../../src/common/clock.js'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import { below, SeededRandom } from './faulty-random.js'
import { pause } from './kill-server.js'
import { TcpProxy } from './tcp-proxy.js'

const TOPIC = 'storm'
const GROUP = 'members'
const PARTITIONS = 8
const MEMBERS_MAX = 5
const PUBLISHED_AT_ONCE = 40
const PATIENCE_MS = 30_000
const WORK_MAX_MS = 8

export interface StormOptions {
  readonly seed: number
  readonly forMs: number
  /** Between a change and the next one. */
  readonly everyMs: number
}

export interface StormResult {
  readonly records: number
  readonly joins: number
  readonly goodbyes: number
  readonly cuts: number
  readonly generations: number
  readonly fenced: number
  readonly repeated: number
}

/** What all members together have done. */
class Tally {
  /** By partition: offsets whose ack was answered. */
  readonly acked = Array.from({ length: PARTITIONS }, () => new Set<number>())
  /** By partition and generation: who was told that an ack counts. */
  readonly ackers = new Map<string, number>()
  /** By partition: an ack was sent that was not refused, and so may count. */
  readonly sent = Array.from({ length: PARTITIONS }, () => new Set<number>())
  generations = 0
  fenced = 0
  repeated = 0

  processed(partition: number, offset: number): void {
    if (this.acked[partition]?.has(offset)) this.repeated++
  }

  counted(partition: number, offset: number, generation: number, member: number): void {
    const place = `${partition} in generation ${generation}`
    const known = this.ackers.get(place) ?? member
    assert.equal(known, member, `two members acked records of partition ${place}`)
    this.ackers.set(place, member)
    // An ack is of everything before it: a gap would be skipped for ever.
    const acked = this.acked[partition] as Set<number>
    const before = offset - 1
    const isKnown = acked.has(before) || this.sent[partition]?.has(before)
    assert.ok(offset === 0 || isKnown, `offset ${offset - 1} of partition ${partition} was skipped`)
    acked.add(offset)
  }

  refused(partition: number, offset: number): void {
    this.fenced++
    this.sent[partition]?.delete(offset)
  }

  /** Records that are acked, or may be. */
  get done(): number {
    return this.acked.reduce((sum, acked, at) => sum + new Set([...acked, ...(this.sent[at] ?? [])]).size, 0)
  }
}

class Member {
  readonly #number: number
  readonly #tally: Tally
  readonly #proxy: TcpProxy
  readonly #client: Client
  readonly #subscription: Subscription
  readonly #working: Promise<void>
  readonly #random: SeededRandom
  #generation = 0
  /** By partition: what came last under the assignment at hand. */
  readonly #last = new Map<number, number>()

  private constructor(number: number, tally: Tally, proxy: TcpProxy, client: Client) {
    this.#number = number
    this.#random = new SeededRandom(number)
    this.#tally = tally
    this.#proxy = proxy
    this.#client = client
    this.#subscription = client.topic(TOPIC).subscribe({
      group: GROUP,
      mode: 'partitioned',
      window: 16,
      onAssigned: ({ generation, started }) => {
        this.#generation = generation
        tally.generations = Math.max(tally.generations, generation)
        for (const partition of started) this.#last.delete(partition)
      },
    })
    this.#working = this.#work()
  }

  static async join(number: number, tally: Tally, port: number): Promise<Member> {
    const proxy = await TcpProxy.start(port)
    const client = await connect({ port: proxy.port, reconnect: { minDelayMs: 5, maxDelayMs: 20 } })
    return new Member(number, tally, proxy, client)
  }

  /** Drop the connection; the client comes back by itself. */
  cut(): void {
    this.#proxy.cut()
  }

  async leave(): Promise<void> {
    await this.#subscription.close()
    await this.#client.close()
    await this.#working
    await this.#proxy.stop()
  }

  async #work(): Promise<void> {
    for await (const record of this.#subscription) {
      const { partition, offset } = record
      const generation = this.#generation
      const last = this.#last.get(partition)
      assert.ok(last === undefined || offset === last + 1, `partition ${partition}: ${offset} came after ${last}`)
      this.#last.set(partition, offset)
      this.#tally.processed(partition, offset)
      // So that most changes meet somebody at work.
      if (below(this.#random, 2) === 0) await pause(1 + below(this.#random, WORK_MAX_MS))
      this.#tally.sent[partition]?.add(offset)
      try {
        await record.ack()
      } catch (error) {
        if (!(error instanceof LeveretError)) throw error
        // Else it was lost with its connection, perhaps behind the server's taking it.
        if (error.code === 'LVT_FENCED') this.#tally.refused(partition, offset)
        continue
      }
      this.#tally.counted(partition, offset, generation, this.#number)
    }
  }
}

export async function weatherStorm({ seed, forMs, everyMs }: StormOptions): Promise<StormResult> {
  const random = new SeededRandom(seed)
  const broker = await createBroker()
  const tally = new Tally()
  const members: Member[] = []
  const counts = { joins: 0, goodbyes: 0, cuts: 0 }
  let records = 0
  try {
    await using publisher = await connect({ port: broker.port })
    await publisher.createTopic(TOPIC, { retention: KEEP_FOREVER, partitions: PARTITIONS })
    const topic = publisher.topic(TOPIC)
    const untilMs = systemClock.monotonic() + forMs
    while (systemClock.monotonic() < untilMs) {
      const values = Array.from({ length: PUBLISHED_AT_ONCE }, (_, at) => Buffer.from(`record ${records + at}`))
      await topic.publishAll(values, { partition: below(random, PARTITIONS) })
      records += values.length
      await change(random, members, counts, tally, broker)
      await pause(everyMs)
    }
    if (members.length === 0) members.push(await Member.join(counts.joins++, tally, broker.port))
    await allDone(tally, records)
    for (const member of members.splice(0)) await member.leave()
    const { partitions, lag } = await publisher.describeGroup(TOPIC, GROUP)
    assert.deepEqual([partitions.length, lag], [PARTITIONS, 0], 'everything is committed')
    const { generations, fenced, repeated } = tally
    return { records, ...counts, generations, fenced, repeated }
  } catch (error) {
    throw new Error(`seed ${seed}: ${error}`, { cause: error })
  } finally {
    for (const member of members) await member.leave().catch(() => undefined)
    await broker.stop()
  }
}

async function change(
  random: SeededRandom,
  members: Member[],
  counts: { joins: number; goodbyes: number; cuts: number },
  tally: Tally,
  broker: EmbeddedBroker,
): Promise<void> {
  const what = below(random, 3)
  const [member] = members.slice(below(random, Math.max(1, members.length)))
  if (member === undefined || (what === 0 && members.length < MEMBERS_MAX)) {
    members.push(await Member.join(counts.joins++, tally, broker.port))
  } else if (what === 1) {
    counts.cuts++
    member.cut()
  } else {
    counts.goodbyes++
    members.splice(members.indexOf(member), 1)
    await member.leave()
  }
}

async function allDone(tally: Tally, records: number): Promise<void> {
  let done = tally.done
  let movedMs = systemClock.monotonic()
  while (done < records) {
    await pause(20)
    if (tally.done > done) movedMs = systemClock.monotonic()
    done = tally.done
    const isStuck = systemClock.monotonic() - movedMs > PATIENCE_MS
    assert.ok(!isStuck, `the group stands still with ${done} of ${records} records done`)
  }
}
