/**
 * A topic as the user has it in hand: values in, values out. Publishing is publisher.ts, reading subscription.ts.
 */
import { CodecError, InvalidArgumentError, LeveretError } from '../src/common/errors.js'
import type { Header, NewRecord } from '../src/model/record.js'
import { DURABILITIES, type Durability, PARTITIONS_MAX } from '../src/model/topic.js'
import type { Codec } from './codec.js'
import { requireWithin } from './options.js'
import type { Lane } from './publish-batch.js'
import type { Publisher } from './publisher.js'
import { quiet } from './quiet.js'
import type { Receipt } from './receipts.js'
import { type SubscribeOptions, type Subscription, wholeNumber } from './subscribe-options.js'

export type HeaderValue = string | Uint8Array

/** By name, or in an order of one's own with names that may repeat. */
export type HeadersInput = Readonly<Record<string, HeaderValue>> | Iterable<readonly [string, HeaderValue] | Header>

/** Where records go, and how safe they must be. */
export interface PublishAllOptions {
  /** Default: the server chooses, by the key where there is one. */
  readonly partition?: number
  /** Default: what the topic promises. */
  readonly durability?: Durability
  /** Stops waiting. A record that was already sent may be stored nevertheless. */
  readonly signal?: AbortSignal
}

export interface PublishOptions extends PublishAllOptions {
  readonly key?: string | Uint8Array
  readonly headers?: HeadersInput
  /** Publish only if this is the next offset of the partition; else LVT_WRONG_OFFSET. */
  readonly expectedOffset?: number
}

/** A value with its key and headers, for `publishRecords`. */
export interface RecordInput<T> {
  readonly value: T
  readonly key?: string | Uint8Array | undefined
  readonly headers?: HeadersInput | undefined
}

const NO_HEADERS: readonly Header[] = []
const ANYWHERE: Lane = { partition: null, durability: null, expectedOffset: null }

/** What a topic needs of its client. Each may throw: ClosedError, InvalidArgumentError. */
export interface TopicPorts {
  publisher(topic: string): Publisher
  subscribe<T>(topic: string, codec: Codec<T>, options: SubscribeOptions): Subscription<T>
}

export class Topic<T = Uint8Array> {
  readonly name: string
  readonly #codec: Codec<T>
  readonly #ports: TopicPorts

  constructor(name: string, codec: Codec<T>, ports: TopicPorts) {
    this.name = name
    this.#codec = codec
    this.#ports = ports
  }

  /**
   * Publish one value. It is encoded before this returns, and sent at the end of the turn with the others. Need not
   * be awaited one by one; failures are in the promise, and a promise that nobody awaits is no unhandled rejection.
   */
  publish(value: T, options?: PublishOptions): Promise<Receipt> {
    try {
      const publisher = this.#ports.publisher(this.name)
      if (options === undefined)
        return publisher.publish(this.#record(value, undefined, undefined), ANYWHERE, undefined)
      const record = this.#record(value, options.key, options.headers)
      return publisher.publish(record, laneOf(options), options.signal)
    } catch (error) {
      return refused(error)
    }
  }

  /** Publish many values with one promise for all their receipts, in their order: cheaper than one for each. */
  publishAll(values: Iterable<T>, options: PublishAllOptions = {}): Promise<Receipt[]> {
    return this.#publishMany(
      Array.from(values, (value) => ({ value })),
      options,
    )
  }

  /** As `publishAll`, each value with a key and headers of its own. */
  publishRecords(records: Iterable<RecordInput<T>>, options: PublishAllOptions = {}): Promise<Receipt[]> {
    return this.#publishMany(records, options)
  }

  /** Starts at once. One loop a subscription; leaving the loop ends it. Throws InvalidArgumentError, ClosedError. */
  subscribe(options: SubscribeOptions = {}): Subscription<T> {
    return this.#ports.subscribe(this.name, this.#codec, options)
  }

  #publishMany(inputs: Iterable<RecordInput<T>>, options: PublishAllOptions): Promise<Receipt[]> {
    try {
      const publisher = this.#ports.publisher(this.name)
      const records = Array.from(inputs, ({ value, key, headers }) => this.#record(value, key, headers))
      return publisher.publishAll(records, laneOf(options), options.signal)
    } catch (error) {
      return refused(error)
    }
  }

  #record(value: T, key: string | Uint8Array | undefined, headers: HeadersInput | undefined): NewRecord {
    return {
      key: key === undefined ? null : bytesOf(key),
      payload: this.#encode(value),
      headers: headers === undefined ? NO_HEADERS : headersOf(headers),
    }
  }

  #encode(value: T): Uint8Array {
    let payload: unknown
    try {
      payload = this.#codec.encode(value)
    } catch (cause) {
      throw new CodecError(`a value for "${this.name}" cannot be encoded`, { cause, topic: this.name })
    }
    if (payload instanceof Uint8Array) return payload
    throw new CodecError(`the codec of "${this.name}" encodes to bytes only, got ${typeof payload}`, {
      topic: this.name,
    })
  }
}

function laneOf(options: PublishOptions): Lane {
  const { partition, durability, expectedOffset } = options
  if (durability !== undefined && !DURABILITIES.includes(durability)) {
    throw new InvalidArgumentError(`durability is one of ${DURABILITIES.join(', ')}, not "${durability}"`)
  }
  if (partition === undefined && durability === undefined && expectedOffset === undefined) return ANYWHERE
  if (partition !== undefined) requireWithin('partition', partition, 0, PARTITIONS_MAX - 1)
  return {
    partition: partition ?? null,
    durability: durability ?? null,
    expectedOffset: expectedOffset === undefined ? null : wholeNumber('expectedOffset', expectedOffset),
  }
}

function bytesOf(value: HeaderValue): Uint8Array {
  if (typeof value === 'string') return Buffer.from(value)
  if (value instanceof Uint8Array) return value
  throw new InvalidArgumentError(`keys and header values are text or bytes, not ${typeof value}`)
}

function headersOf(headers: HeadersInput): Header[] {
  const entries = isIterable(headers) ? headers : Object.entries(headers)
  return Array.from(entries, (entry) => {
    const [name, value] = isPair(entry) ? entry : [entry.name, entry.value]
    return { name, value: bytesOf(value) }
  })
}

function isIterable(headers: HeadersInput): headers is Exclude<HeadersInput, Readonly<Record<string, HeaderValue>>> {
  return Symbol.iterator in headers
}

function isPair(entry: readonly [string, HeaderValue] | Header): entry is readonly [string, HeaderValue] {
  return Array.isArray(entry)
}

function refused(thrown: unknown): Promise<never> {
  const error = thrown instanceof LeveretError ? thrown : new InvalidArgumentError(String(thrown), { cause: thrown })
  return quiet(Promise.reject(error))
}
