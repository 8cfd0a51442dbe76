/**
 * What a gateway has to know after a restart and no topic of its users has a place for: a topic of its own, with the
 * newest value of each key. Read once, before anything else; from then on it is written only, and the gateway remembers.
 *
 * Old values go with log compaction, which works on whole files: on disk the topic is bounded by a few of them however
 * often a key is written. A store that rewrites nothing keeps the old ones, or as many as the gateway allows it.
 */
import type { Broker } from '../broker/broker.js'
import type { PartitionReader } from '../broker/partition-reader.js'
import { plainHow } from '../broker/publish.js'
import type { Topic } from '../broker/topic.js'
import type { Clock } from '../common/clock.js'
import { LeveretError } from '../common/errors.js'
import { fieldBytes, putFieldHead } from '../model/put-field.js'
import { KEY_TAG, PAYLOAD_TAG, RECORD_TAG, recordBounds, skipField } from '../model/run.js'
import {
  DEFAULT_TOPIC_SETTINGS,
  type Durability,
  EARLIEST,
  KEEP_FOREVER,
  type RetentionLimits,
  type TopicSettings,
} from '../model/topic.js'

const SETTINGS: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, keepLatestPerKey: true }
const READ_BYTES = 1024 * 1024

/** The newest value of the key counts. Null, or nothing in it, says that there is none any more. */
export interface StateChange {
  readonly key: string
  readonly value: Buffer | null
}

export interface StateTopicOptions {
  readonly broker: Broker
  readonly clock: Clock
  /** One that no user's topic can have in the dialect of the gateway. */
  readonly name: string
  /** What a store keeps that cannot drop old values alone. */
  readonly otherwise?: RetentionLimits
}

export class StateTopic {
  readonly #options: StateTopicOptions
  /** Those that have a value. */
  readonly #keys = new Set<string>()
  /** Their values were to go and may still be there: they go with the next write. */
  readonly #left = new Set<string>()
  /** Writes that wait for the topic; who comes later waits behind them. */
  #waiting = 0
  #last: Promise<void> = Promise.resolve()

  constructor(options: StateTopicOptions) {
    this.#options = options
  }

  /** All values there are. */
  async open(): Promise<Map<string, Buffer>> {
    const values = new Map<string, Buffer>()
    await this.#readAll(values)
    this.#keys.clear()
    for (const key of values.keys()) this.#keys.add(key)
    return values
  }

  /**
   * Keep `changes` in their order, as one publish: after a crash all of them are there or none. Writes are kept in the
   * order of the calls. Resolves when they are as safe as `durability` says (null: as the topic's settings say).
   */
  write(changes: readonly StateChange[], durability: Durability | null = null): Promise<void> {
    const real = changes.filter(({ key, value }) => value !== null || this.#keys.has(key))
    if (real.length === 0) return Promise.resolve()
    if (this.#left.size > 0) real.unshift(...Array.from(this.#left, (key) => ({ key, value: null })))
    this.#left.clear()
    for (const { key, value } of real) {
      if (value === null) this.#keys.delete(key)
      else this.#keys.add(key)
    }
    const { broker, name } = this.#options
    const topic = this.#waiting === 0 ? broker.topicInUse(name) : null
    if (topic !== null) return this.#publish(topic, real, durability)
    this.#waiting++
    const published = this.#last.then(async () => {
      try {
        const made = await this.#make()
        // In an object, so that it is not awaited here: whoever is next may follow in the same turn.
        return { done: this.#publish(made, real, durability) }
      } catch (error) {
        this.#failed(real)
        throw error
      } finally {
        this.#waiting--
      }
    })
    this.#last = published.then(
      () => undefined,
      () => undefined,
    )
    return published.then(({ done }) => done)
  }

  async #publish(topic: Topic, changes: readonly StateChange[], durability: Durability | null): Promise<void> {
    const body = encodeChanges(changes)
    try {
      await new Promise<void>((resolve, reject) => {
        const sink = { published: () => resolve(), publishFailed: (...[, , error]: Failure) => reject(error) }
        const run = { buffer: body, start: 0, end: body.length, count: changes.length, isOwned: true }
        this.#options.broker.publish(topic, 0, run, plainHow(durability), sink, 1)
      })
    } catch (error) {
      this.#failed(changes)
      throw error
    }
  }

  /** What was to go may still be there, and goes later unless something came after it. */
  #failed(changes: readonly StateChange[]): void {
    for (const { key, value } of changes) if (value === null && !this.#keys.has(key)) this.#left.add(key)
    for (const { key } of changes) this.#keys.add(key)
  }

  async #make(): Promise<Topic> {
    const { broker, name, otherwise = KEEP_FOREVER } = this.#options
    if (broker.topicSettings(name) === null) {
      try {
        await broker.createTopic(name, SETTINGS)
      } catch (error) {
        if (!(error instanceof LeveretError) || error.code !== 'LVT_UNSUPPORTED') throw error
        await broker.createTopic(name, { ...SETTINGS, keepLatestPerKey: false, retention: otherwise })
      }
    }
    return await broker.useTopic(name)
  }

  async #readAll(values: Map<string, Buffer>): Promise<void> {
    const { broker, clock, name } = this.#options
    if (broker.topicSettings(name) === null) return
    const { partitions } = await broker.describeTopic(name)
    const end = partitions[0]?.end ?? 0
    let readable = (): void => undefined
    const listener = { readable: () => readable(), grown: (reader: PartitionReader) => reader.close() }
    const [reader] = await broker.subscribe(name, EARLIEST, end, listener)
    if (reader === undefined) return
    try {
      for (;;) {
        const result = reader.take(Number.MAX_SAFE_INTEGER, READ_BYTES, clock.monotonic())
        if (result === 'ended') return
        if (result === 'failed') throw reader.failure
        if (result === 'records') readChanges(reader, values)
        else if (result === 'waiting') {
          await new Promise<void>((resolve) => {
            readable = resolve
          })
        }
      }
    } finally {
      reader.close()
    }
  }
}

type Failure = [token: number, topic: unknown, error: LeveretError]

/** Others may have written anything there: what has no key is nobody's. */
function readChanges({ body, bodyStart, bodyEnd }: PartitionReader, values: Map<string, Buffer>): void {
  for (let position = bodyStart; position < bodyEnd; ) {
    const { start, end } = recordBounds(body, position)
    let key = ''
    let value: Buffer | null = null
    for (let at = start; at < end; at = skipField(body, at)) {
      if (body[at] !== KEY_TAG && body[at] !== PAYLOAD_TAG) continue
      const field = recordBounds(body, at)
      if (body[at] === KEY_TAG) key = body.toString('utf8', field.start, field.end)
      else value = Buffer.from(body.subarray(field.start, field.end))
    }
    if (value === null || value.length === 0) values.delete(key)
    else if (key !== '') values.set(key, value)
    position = end
  }
}

/** `records` of the wire: tag, length, and in it the key and, if there is one, the value, in the same manner. */
function encodeChanges(changes: readonly StateChange[]): Buffer {
  const sizes = changes.map(({ key, value }) => {
    return fieldBytes(Buffer.byteLength(key)) + (value === null ? 0 : fieldBytes(value.length))
  })
  const body = Buffer.allocUnsafe(sizes.reduce((sum, size) => sum + fieldBytes(size), 0))
  let at = 0
  for (const [index, { key, value }] of changes.entries()) {
    at = putFieldHead(body, at, RECORD_TAG, sizes[index] as number)
    at = putFieldHead(body, at, KEY_TAG, Buffer.byteLength(key))
    at += body.write(key, at)
    if (value === null) continue
    at = putFieldHead(body, at, PAYLOAD_TAG, value.length)
    at += value.copy(body, at)
  }
  return body
}
