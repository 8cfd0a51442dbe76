/**
 * Records on their way in one Publish frame, and those who wait for their receipts. Records are encoded straight
 * into the bytes of the frame; the head is laid before them when it is sent. Called by publisher.ts.
 */
import { AbortedError, type LeveretError } from '../src/common/errors.js'
import type { NewRecord } from '../src/model/record.js'
import { recordBounds } from '../src/model/run.js'
import type { Durability } from '../src/model/topic.js'
import { type PublishHead, putPublishHead } from '../src/protocol/encode-client.js'
import type { PublishedFrame } from '../src/protocol/frames.js'
import { putRecord } from '../src/protocol/records.js'
import { type Receipt, receiptsOf } from './receipts.js'

/** Where a publish goes: publishes that agree in it may share a frame. */
export interface Lane {
  readonly partition: number | null
  readonly durability: Durability | null
  readonly expectedOffset: number | null
}

/** Somebody who waits for several records at once, perhaps in several batches. */
export class ReceiptGroup {
  readonly promise: Promise<Receipt[]>
  readonly #receipts: Receipt[]
  #missing: number
  #resolve: (receipts: Receipt[]) => void = nothing
  #reject: (error: LeveretError) => void = nothing

  constructor(count: number) {
    this.#receipts = new Array<Receipt>(count)
    this.#missing = count
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.promise.catch(nothing)
    if (count === 0) this.#resolve([])
  }

  put(index: number, receipt: Receipt): void {
    this.#receipts[index] = receipt
    if (--this.#missing === 0) this.#resolve(this.#receipts)
  }

  fail(error: LeveretError): void {
    this.#reject(error)
  }
}

interface Span {
  readonly first: number
  readonly count: number
  readonly group: ReceiptGroup
  readonly groupFirst: number
}

type Settler<V> = ((value: V) => void) | null

export class PublishBatch {
  readonly lane: Lane
  readonly deadline: number
  /** Given when first sent, and kept for each time it is sent again. */
  sequence = -1
  /** The id of the frame that waits for an answer; 0 when none does. */
  id = 0
  /** Refused by the server with an error that may pass; waits to be sent again. */
  refusal: LeveretError | null = null
  isSettled = false

  #buffer: Buffer
  readonly #runStart: number
  #end: number
  #count = 0
  readonly #promises: (Promise<Receipt> | null)[] = []
  readonly #resolves: Settler<Receipt>[] = []
  readonly #rejects: Settler<LeveretError>[] = []
  readonly #spans: Span[] = []
  #cleanups: (() => void)[] | null = null
  #aborted = 0
  readonly #takeSettlers = (resolve: (receipt: Receipt) => void, reject: (error: LeveretError) => void): void => {
    this.#resolves.push(resolve)
    this.#rejects.push(reject)
  }

  constructor(lane: Lane, buffer: Buffer, headBytes: number, deadline: number) {
    this.lane = lane
    this.deadline = deadline
    this.#buffer = buffer
    this.#runStart = headBytes
    this.#end = headBytes
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#end - this.#runStart
  }

  get buffer(): Buffer {
    return this.#buffer
  }

  get wasSent(): boolean {
    return this.sequence >= 0
  }

  /** Append a record of `bytes` encoded bytes; growing doubles. */
  add(record: NewRecord, bytes: number): void {
    const needed = this.#end + bytes
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
      this.#buffer.copy(larger, this.#runStart, this.#runStart, this.#end)
      this.#buffer = larger
    }
    this.#end = putRecord(this.#buffer, this.#end, record)
    this.#count++
  }

  /** The receipt of the record that was just added. */
  waitForLast(signal: AbortSignal | undefined): Promise<Receipt> {
    const index = this.#count - 1
    while (this.#resolves.length < index) this.#fillUp()
    const promise = new Promise<Receipt>(this.#takeSettlers)
    this.#promises.push(promise)
    if (signal !== undefined) this.#listen(index, promise, signal)
    return promise
  }

  /** The last `count` records belong to a group, at `groupFirst` and after. */
  waitAsGroup(count: number, group: ReceiptGroup, groupFirst: number): void {
    this.#spans.push({ first: this.#count - count, count, group, groupFirst })
  }

  /** Lay the head before the run and return the frame. */
  frame(head: Omit<PublishHead, keyof Lane>): Buffer {
    const { partition, durability, expectedOffset } = this.lane
    const start = putPublishHead(this.#buffer, this.#runStart, this.bytes, {
      ...head,
      partition,
      durability,
      expectedOffset,
    })
    return this.#buffer.subarray(start, this.#end)
  }

  /** Throws ProtocolError, and settles nothing, when the answer does not account for each record. */
  settle(topic: string, answer: PublishedFrame): void {
    const receiptAt = receiptsOf(topic, this.#count, answer)
    this.#release()
    for (let index = 0; index < this.#resolves.length; index++) {
      const resolve = this.#resolves[index]
      if (resolve !== null && resolve !== undefined) resolve(receiptAt(index))
    }
    for (const { first, count, group, groupFirst } of this.#spans) {
      for (let index = 0; index < count; index++) group.put(groupFirst + index, receiptAt(first + index))
    }
  }

  /** Fail every record. Nobody has to listen: a failure that is not awaited is no unhandled rejection. */
  fail(error: LeveretError): void {
    this.#release()
    for (const promise of this.#promises) promise?.catch(nothing)
    for (const reject of this.#rejects) reject?.(error)
    for (const { group } of this.#spans) group.fail(error)
  }

  /** Take out the records that were aborted before the batch was sent; returns the bytes that left. */
  dropAborted(): number {
    if (this.#aborted === 0) return 0
    const before = this.#end
    const spanned = new Set(
      this.#spans.flatMap(({ first, count }) => Array.from({ length: count }, (_, i) => first + i)),
    )
    const kept: number[] = []
    let from = this.#runStart
    let to = this.#runStart
    for (let index = 0; index < this.#count; index++) {
      const { end } = recordBounds(this.#buffer, from)
      const isGone = this.#promises[index] === null && !spanned.has(index)
      if (!isGone) {
        this.#buffer.copyWithin(to, from, end)
        to += end - from
        kept.push(index)
      }
      from = end
    }
    this.#end = to
    this.#renumber(kept)
    return before - to
  }

  #renumber(kept: readonly number[]): void {
    const place = new Map(kept.map((old, index) => [old, index]))
    const choose = <V>(values: (V | null)[]): void => {
      const chosen = kept.map((old) => values[old] ?? null)
      values.splice(0, values.length, ...chosen)
    }
    choose(this.#promises)
    choose(this.#resolves)
    choose(this.#rejects)
    const spans = this.#spans.map((span) => ({ ...span, first: place.get(span.first) ?? 0 }))
    this.#spans.splice(0, this.#spans.length, ...spans)
    this.#count = kept.length
    this.#aborted = 0
  }

  #fillUp(): void {
    this.#promises.push(null)
    this.#resolves.push(null)
    this.#rejects.push(null)
  }

  #listen(index: number, promise: Promise<Receipt>, signal: AbortSignal): void {
    const reject = this.#rejects[index]
    const onAbort = (): void => {
      if (this.isSettled || reject === undefined) return
      promise.catch(nothing)
      const where = this.wasSent ? 'after it was sent: it may have been stored' : 'before it was sent'
      reject?.(new AbortedError(`the publish was aborted ${where}`, { cause: signal.reason }))
      if (this.wasSent) return
      this.#promises[index] = null
      this.#aborted++
    }
    signal.addEventListener('abort', onAbort, { once: true })
    this.#cleanups ??= []
    this.#cleanups.push(() => signal.removeEventListener('abort', onAbort))
  }

  #release(): void {
    this.isSettled = true
    if (this.#cleanups !== null) for (const cleanup of this.#cleanups) cleanup()
    this.#cleanups = null
  }
}

function nothing(): void {
  // Failures reach those who await them.
}
