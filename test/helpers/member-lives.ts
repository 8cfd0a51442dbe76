/**
 * Members of a group, each with a client and a network of its own, that come, go, lose their connection and die, as chance
 * has it; and the ledger of what they were given and what was said to be safe.
 */
import assert from 'node:assert/strict'
import {
  type Client,
  connect,
  type ErrorCode,
  json,
  KEEP_FOREVER,
  type Mode,
  type ReceivedRecord,
  type Subscription,
} from '../../client/index.js'
import { createBroker, type EmbeddedBroker } from '../../src/index.js'
import { below, chance, type SeededRandom } from './faulty-random.js'
import { TcpProxy } from './tcp-proxy.js'

const PARTITIONS = 3
const MEMBERS_MAX = 4
/** Looks at the group while nothing is dealt with. */
const IDLE_STEPS_MAX = 1_000
/** Of groups whose members fall silent; of others nothing ever expires. */
const ACK_WAIT_MS = 60

/** What may be answered to an ack whose record is another's by now. */
const NOT_MINE: readonly ErrorCode[] = ['LVT_LEASE_LOST', 'LVT_FENCED', 'LVT_IN_DOUBT', 'LVT_CLOSED']

interface Member {
  readonly client: Client
  readonly proxy: TcpProxy
  readonly records: Subscription<number>
  readonly working: Promise<void>
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

export class MemberLives {
  readonly #random: SeededRandom
  readonly #mode: Exclude<Mode, 'cursor'>
  /** They say nothing of some records, and keep their seats. */
  readonly #isSilent: boolean
  readonly #broker: EmbeddedBroker
  readonly #admin: Client
  readonly #members: Member[] = []
  /** By partition: how many were published. */
  readonly #published = Array<number>(PARTITIONS).fill(0)
  /** `partition/offset` of what was handed out, and of what was said to be safe. */
  readonly #handed = new Set<string>()
  readonly #safe = new Set<string>()
  /** By partition: everything up to it is safe. */
  readonly #floor = Array<number>(PARTITIONS).fill(-1)
  /** What does not hold. */
  readonly #wrong: string[] = []

  constructor(random: SeededRandom, mode: Exclude<Mode, 'cursor'>, broker: EmbeddedBroker, admin: Client) {
    this.#random = random
    this.#mode = mode
    this.#isSilent = mode === 'shared' && chance(random, 0.5)
    this.#broker = broker
    this.#admin = admin
  }

  static async begin(random: SeededRandom, mode: Exclude<Mode, 'cursor'>): Promise<MemberLives> {
    const broker = await createBroker()
    const admin = await connect({ port: broker.port })
    await admin.createTopic('t', { retention: KEEP_FOREVER, partitions: PARTITIONS })
    return new MemberLives(random, mode, broker, admin)
  }

  /** Something happens. */
  async step(): Promise<void> {
    const choice = below(this.#random, 10)
    if (choice < 3) await this.#publish(1 + below(this.#random, 60))
    else if (choice < 5 && this.#members.length < MEMBERS_MAX) await this.#join()
    else if (choice === 5) await this.#end((member) => member.records.close())
    // It dies: nobody says goodbye.
    else if (choice === 6) await this.#end(die)
    else if (choice === 7) this.#pick()?.proxy.cut()
    else for (let turns = below(this.#random, 30); turns > 0; turns--) await turn()
  }

  /** Everything is dealt with by those who live, and what they were promised holds. */
  async finish(): Promise<void> {
    if (this.#members.length === 0) await this.#join()
    let last = Number.POSITIVE_INFINITY
    for (let steps = 0; ; steps++) {
      const { lag } = await this.#admin.describeGroup('t', 'g')
      if (lag === 0) break
      if (lag < last) steps = 0
      last = lag
      assert.ok(steps < IDLE_STEPS_MAX, `${lag} records are left, and no progress is made`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    while (this.#members.length > 0) await this.#end((member) => member.records.close())
    for (const [partition, count] of this.#published.entries()) {
      for (let offset = 0; offset < count; offset++) {
        if (!this.#handed.has(`${partition}/${offset}`)) this.#wrong.push(`${partition}/${offset} was passed over`)
      }
    }
    assert.deepEqual(this.#wrong, [])
  }

  async stop(): Promise<void> {
    while (this.#members.length > 0) await this.#end(die)
    await this.#admin.close()
    await this.#broker.stop()
  }

  async #publish(count: number): Promise<void> {
    const partition = below(this.#random, PARTITIONS)
    const from = this.#published[partition] ?? 0
    // Each record says its offset.
    const offsets = Array.from({ length: count }, (_, index) => from + index)
    await this.#admin.topic('t', { codec: json<number>() }).publishAll(offsets, { partition })
    this.#published[partition] = from + count
  }

  async #join(): Promise<void> {
    const proxy = await TcpProxy.start(this.#broker.port)
    const client = await connect({ port: proxy.port, reconnect: { minDelayMs: 1, maxDelayMs: 10 } })
    const mode = this.#mode
    const records = client.topic('t', { codec: json<number>() }).subscribe({
      ...{ group: 'g', mode, manualCommit: true },
      ...(this.#isSilent
        ? { window: 3 + below(this.#random, 6), ackWaitMs: ACK_WAIT_MS }
        : { window: 3 + below(this.#random, 60) }),
    })
    this.#members.push({
      client,
      proxy,
      records,
      working: chance(this.#random, 0.3) ? this.#run(records) : this.#work(records),
    })
    await records.ready.catch(() => {})
  }

  async #work(records: Subscription<number>): Promise<void> {
    const acks: Promise<void>[] = []
    for await (const record of records) {
      const { partition, offset } = record
      const name = `${partition}/${offset}`
      this.#handedOut(record, name)
      while (chance(this.#random, 0.6)) await turn()
      if (this.#isSilent && chance(this.#random, 0.2)) continue
      if (this.#mode === 'shared' && chance(this.#random, 0.1)) {
        // What it said before it was lost may have counted, or not: it comes again either way, sooner or later.
        acks.push(record.retry({ delayMs: below(this.#random, 30) }).catch(() => {}))
        continue
      }
      const acked = record.ack().then(
        () => this.#isSafe(partition, offset, name),
        (error: { code: ErrorCode }) => {
          if (!NOT_MINE.includes(error.code)) this.#wrong.push(`an ack of ${name} failed with ${error.code}`)
        },
      )
      if (chance(this.#random, 0.5)) await acked
      else acks.push(acked)
    }
    await Promise.all(acks)
  }

  /** With handlers: what they are done with is acked by itself. */
  async #run(records: Subscription<number>): Promise<void> {
    const concurrency = 1 + below(this.#random, 3)
    await records.run(
      async (record) => {
        this.#handedOut(record, `${record.partition}/${record.offset}`)
        while (chance(this.#random, 0.6)) await turn()
        if (chance(this.#random, 0.1)) throw new Error('not this time')
      },
      { concurrency, retryDelayMs: 2 },
    )
  }

  #handedOut({ partition, offset, value }: ReceivedRecord<number>, name: string): void {
    this.#handed.add(name)
    if (value !== offset) this.#wrong.push(`${name} came with what ${value} holds`)
    // What lay here while its ack wait ran out may have been done with by another one.
    if (this.#safe.has(name) && !this.#isSilent) this.#wrong.push(`${name} came again, and was safe`)
    if (this.#mode === 'shared') return
    if (offset <= (this.#floor[partition] ?? -1)) this.#wrong.push(`${name} came again, and was committed`)
    if (offset > 0 && !this.#handed.has(`${partition}/${offset - 1}`)) this.#wrong.push(`${name} came out of order`)
  }

  #isSafe(partition: number, offset: number, name: string): void {
    // Of a record that expired one may have two copies, and say of both that they are done in one breath.
    if (this.#mode === 'shared' && this.#safe.has(name) && !this.#isSilent) this.#wrong.push(`${name} was safe twice`)
    this.#safe.add(name)
    this.#floor[partition] = Math.max(this.#floor[partition] ?? -1, offset)
  }

  #pick(): Member | undefined {
    return this.#members[below(this.#random, Math.max(1, this.#members.length))]
  }

  async #end(how: (member: Member) => Promise<void>): Promise<void> {
    const member = this.#pick()
    if (member === undefined) return
    this.#members.splice(this.#members.indexOf(member), 1)
    await how(member)
    await member.client.close()
    await member.working
    await member.proxy.stop()
  }
}

/** Its network is gone, for good. */
async function die({ proxy }: Member): Promise<void> {
  proxy.isRefusing = true
  proxy.cut()
}
