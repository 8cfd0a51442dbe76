/**
 * What the gateway has to know after a restart and no topic has a place for: a topic of its own, with the newest record of
 * each key. Written before it is in use; read once, before anything else.
 */
import type { Broker } from '../../../broker/broker.js'
import type { PartitionReader } from '../../../broker/partition-reader.js'
import { plainHow } from '../../../broker/publish.js'
import type { Clock } from '../../../common/clock.js'
import { LeveretError } from '../../../common/errors.js'
import { createLog } from '../../../common/log.js'
import { KEY_TAG, PAYLOAD_TAG, RECORD_TAG, recordBounds, skipField } from '../../../model/run.js'
import { DEFAULT_TOPIC_SETTINGS, EARLIEST, KEEP_FOREVER, type TopicSettings } from '../../../model/topic.js'

const log = createLog('gateways:floki')

/** No queue can be called that, and no stream of MeiliES. */
const TOPIC = '__leveret.floki'
const SETTINGS: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, keepLatestPerKey: true }
const READ_BYTES = 1024 * 1024

export class SettingsLog {
  readonly #broker: Broker
  readonly #clock: Clock
  readonly #values = new Map<string, unknown>()

  constructor(broker: Broker, clock: Clock) {
    this.#broker = broker
    this.#clock = clock
  }

  async open(): Promise<void> {
    this.#values.clear()
    if (this.#broker.topicSettings(TOPIC) === null) return
    const { partitions } = await this.#broker.describeTopic(TOPIC)
    const end = partitions[0]?.end ?? 0
    let readable = (): void => undefined
    const listener = { readable: () => readable(), grown: (reader: PartitionReader) => reader.close() }
    const [reader] = await this.#broker.subscribe(TOPIC, EARLIEST, end, listener)
    if (reader === undefined) return
    try {
      for (;;) {
        const result = reader.take(Number.MAX_SAFE_INTEGER, READ_BYTES, this.#clock.monotonic())
        if (result === 'ended') return
        if (result === 'failed') throw reader.failure
        if (result === 'records') this.#read(reader)
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

  /** Goes on over what is put meanwhile. */
  keys(): IterableIterator<string> {
    return this.#values.keys()
  }

  get(key: string): unknown {
    return this.#values.get(key) ?? null
  }

  /** Keep `value` under `key`, or (null) nothing any more. Resolves when it is as safe as the store can make it. */
  async put(key: string, value: unknown): Promise<void> {
    if (value === null && !this.#values.has(key)) return
    await this.#append(key, value === null ? '' : JSON.stringify(value))
    this.#set(key, value)
  }

  /** What is there is of a queue that is gone: at once, and for whoever reads this after a restart. */
  forget(key: string): void {
    if (!this.#values.delete(key)) return
    this.#append(key, '').catch((error: unknown) => {
      log('%s comes back with a restart: %O', key, error)
    })
  }

  async #append(key: string, value: string): Promise<void> {
    await this.#make()
    const topic = await this.#broker.useTopic(TOPIC)
    const body = recordOf(key, value)
    await new Promise<void>((resolve, reject) => {
      const sink = { published: () => resolve(), publishFailed: (...[, , error]: Failure) => reject(error) }
      const run = { buffer: body, start: 0, end: body.length, count: 1, isOwned: true }
      this.#broker.publish(topic, 0, run, plainHow(null), sink, 1)
    })
  }

  #set(key: string, value: unknown): void {
    if (value === null) this.#values.delete(key)
    else this.#values.set(key, value)
  }

  async #make(): Promise<void> {
    if (this.#broker.topicSettings(TOPIC) !== null) return
    try {
      await this.#broker.createTopic(TOPIC, SETTINGS)
    } catch (error) {
      if (!(error instanceof LeveretError) || error.code !== 'LVT_UNSUPPORTED') throw error
      // A store that rewrites nothing keeps the old ones as well.
      await this.#broker.createTopic(TOPIC, { ...SETTINGS, keepLatestPerKey: false })
    }
  }

  #read({ body, bodyStart, bodyEnd }: PartitionReader): void {
    for (let position = bodyStart; position < bodyEnd; ) {
      const { start, end } = recordBounds(body, position)
      let key = ''
      let value = ''
      for (let at = start; at < end; at = skipField(body, at)) {
        const field = recordBounds(body, at)
        if (body[at] === KEY_TAG) key = body.toString('utf8', field.start, field.end)
        else if (body[at] === PAYLOAD_TAG) value = body.toString('utf8', field.start, field.end)
      }
      this.#set(key, parsed(value))
      position = end
    }
  }
}

/** Others may have written anything there. */
function parsed(value: string): unknown {
  try {
    return value === '' ? null : JSON.parse(value)
  } catch {
    return null
  }
}

type Failure = [token: number, topic: unknown, error: LeveretError]

function recordOf(key: string, value: string): Buffer {
  const fields = [field(KEY_TAG, Buffer.from(key))]
  if (value !== '') fields.push(field(PAYLOAD_TAG, Buffer.from(value)))
  return field(RECORD_TAG, Buffer.concat(fields))
}

function field(tag: number, content: Buffer): Buffer {
  const head = [tag]
  let left = content.length
  for (; left >= 0x80; left = Math.floor(left / 0x80)) head.push((left & 0x7f) | 0x80)
  head.push(left)
  return Buffer.concat([Buffer.from(head), content])
}
