/**
 * Where records go that no member of a group gets any more: to the dead-letter topic of theirs, exactly once. Each has a
 * producer and a sequence that follow from its place, so that whoever tries again after a crash stores nothing twice.
 */
import { createHash } from 'node:crypto'
import { type LeveretError, TopicNotFoundError, UnsupportedError } from '../common/errors.js'
import type { Counter } from '../metrics/registry.js'
import { fieldBytes, putFieldHead } from '../model/put-field.js'
import type { PublishReceipt } from '../model/receipt.js'
import { HEADER_NAME_TAG, HEADER_TAG, HEADER_VALUE_TAG, RECORD_TAG, recordBounds } from '../model/run.js'
import { KEEP_FOREVER } from '../model/topic.js'
import type { DeadLetter, PublishHow } from '../storage/engine.js'
import type { PublishSink } from './publish.js'
import { publishSpread } from './spread.js'
import type { ControllerContext } from './topic-controller.js'
import type { TopicFacts } from './topic-facts.js'
import type { TopicRegistry } from './topic-registry.js'

/** Room that a delivery needs beside its record. */
const FRAME_ROOM_BYTES = 64
/** Sequences of one producer: as many as are remembered, so that none of them is ever too old. */
const SEQUENCES = 64

export interface DeadLetterCounters {
  readonly stored: Counter
  readonly discarded: Counter
}

export class DeadLetters {
  readonly #registry: TopicRegistry
  readonly #context: ControllerContext
  readonly #counters: DeadLetterCounters

  constructor(registry: TopicRegistry, context: ControllerContext, counters: DeadLetterCounters) {
    this.#registry = registry
    this.#context = context
    this.#counters = counters
  }

  /** Resolves when the record is stored, or when its topic has no place for it. */
  async bury(topic: TopicFacts, group: string, dead: DeadLetter): Promise<void> {
    const { deadLetterTopic } = topic.settings
    if (deadLetterTopic === null) {
      this.#counters.discarded.value++
      return
    }
    const body = this.#marked(topic, group, dead)
    const target = await this.#target(deadLetterTopic)
    if (target.controllers === null) throw new TopicNotFoundError(deadLetterTopic)
    const run = { buffer: body, start: 0, end: body.length, count: 1 }
    await new Promise<void>((resolve, reject) => {
      publishSpread(target, run, howOf(topic.name, group, dead), new Burial(resolve, reject), 1)
    })
    this.#counters.stored.value++
  }

  /** Made when it is missing: as topics of this server are, but it keeps what it gets. */
  async #target(name: string) {
    const { topicDefaults } = this.#context.limits
    if (this.#registry.get(name) === undefined) {
      await this.#registry.create(name, { ...topicDefaults, retention: KEEP_FOREVER })
    }
    const target = await this.#registry.use(name)
    // It would be gone with the move: the record stays where it is until somebody gives the topic retention.
    if (!target.keepsRecords) {
      throw new UnsupportedError(`dead-letter topic "${name}" keeps nothing: give it retention`, { topic: name })
    }
    return target
  }

  /** The record with headers that say where it comes from, unless it would be too large with them. */
  #marked(topic: TopicFacts, group: string, { partition, offset, reason, deliveries, body }: DeadLetter): Buffer {
    const { start } = recordBounds(body, 0)
    const content = body.subarray(start)
    const marks = Buffer.concat([
      header('leveret-topic', topic.name),
      header('leveret-partition', `${partition}`),
      header('leveret-offset', `${offset}`),
      header('leveret-group', group),
      header('leveret-reason', reason),
      header('leveret-deliveries', `${deliveries}`),
    ])
    const marked = field(RECORD_TAG, Buffer.concat([content, marks]))
    return marked.length > this.#context.limits.maxFrameBytes - FRAME_ROOM_BYTES ? body : marked
  }
}

/** A topic that was made anew under its name has other records at the same places: the time tells them apart. */
function howOf(topic: string, group: string, { partition, offset, timestampMs }: DeadLetter): PublishHow {
  const place = JSON.stringify([topic, partition, group, timestampMs, Math.floor(offset / SEQUENCES)])
  const producer = `dead-letters/${createHash('sha256').update(place).digest('base64url')}`
  return { durability: null, expectedOffset: null, producer, sequence: offset % SEQUENCES }
}

/** The publish of one dead letter. */
class Burial implements PublishSink {
  readonly #resolve: () => void
  readonly #reject: (error: LeveretError) => void

  constructor(resolve: () => void, reject: (error: LeveretError) => void) {
    this.#resolve = resolve
    this.#reject = reject
  }

  published(_token: number, _topic: TopicFacts, _receipt: PublishReceipt): void {
    this.#resolve()
  }

  publishFailed(_token: number, _topic: TopicFacts, error: LeveretError): void {
    this.#reject(error)
  }
}

function header(name: string, value: string): Buffer {
  return field(
    HEADER_TAG,
    Buffer.concat([field(HEADER_NAME_TAG, Buffer.from(name)), field(HEADER_VALUE_TAG, Buffer.from(value))]),
  )
}

function field(tag: number, content: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(fieldBytes(content.length))
  content.copy(bytes, putFieldHead(bytes, 0, tag, content.length))
  return bytes
}
