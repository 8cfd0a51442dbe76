/**
 * One partition of a topic in use: gathers the publishes of a turn, drops what the compaction window forbids,
 * appends through the engine, keeps the ring and wakes the readers. Owns their order.
 * Called by broker.ts and by readers. Knows no sockets, frames or files.
 */
import { EventEmitter } from 'eventemitter3'
import {
  asLeveretError,
  type LeveretError,
  OverloadedError,
  UnavailableError,
  WrongOffsetError,
} from '../common/errors.js'
import type { SteadyTime } from '../common/steady-time.js'
import type { Turn, TurnTask } from '../common/turn.js'
import type { Counter } from '../metrics/registry.js'
import type { Offset } from '../model/offset.js'
import type { Loss, RecordRun, StoredBatch } from '../model/record.js'
import type { Cursor, Engine, PublishHow } from '../storage/engine.js'
import { type CompactedRun, compactRun } from './compact-run.js'
import type { CompactionWindow } from './compaction.js'
import type { BrokerLimits } from './limits.js'
import { PartitionReader, type ReaderListener, type ReaderSource } from './partition-reader.js'
import { isPlain, type PublishSink } from './publish.js'
import { type AppendGroup, PendingPublish, settleGroup, sumBytes } from './publish-group.js'
import { RepeatedSequences } from './repeated-sequences.js'
import { Slab } from './slab.js'
import type { TopicFacts } from './topic-facts.js'
import type { TopicRing } from './topic-ring.js'

/** With more than this waiting to be appended, connections that only publish are not read any further. */
const ROOM_BYTES = 8 * 1024 * 1024
/** A run this large that came in a buffer of its own stays there: a second copy costs more than the merging saves. */
const ADOPTED_BYTES_MIN = 16 * 1024
/** What a waiting publish costs beside its records: empty ones are bounded by it too. */
const PENDING_OVERHEAD_BYTES = 128
/** Merged publishes stay below this; a larger publish is a batch of its own. */
const BATCH_BYTES_MAX = 256 * 1024

export interface TopicEvents {
  /** Records are in the ring: they reached the durability that their topic promises. */
  appended: [batch: StoredBatch]
  /** Readers of a topic that keeps nothing were overrun. */
  lagged: [loss: Loss]
  /** An append failed; its publishers have been told. */
  failed: [error: LeveretError]
}

/** What all controllers of a broker share. */
export interface ControllerContext {
  readonly engine: Engine
  readonly clock: SteadyTime
  readonly turn: Turn
  readonly limits: BrokerLimits
  readonly counters: BrokerCounters
}

export interface BrokerCounters {
  readonly publishes: Counter
  readonly recordsAppended: Counter
  readonly bytesAppended: Counter
  readonly duplicates: Counter
  readonly recordsLagged: Counter
  readonly overloaded: Counter
}

export class TopicController extends EventEmitter<TopicEvents> implements ReaderSource, TurnTask {
  readonly topic: TopicFacts
  readonly partition: number
  readonly ring: TopicRing
  readonly #context: ControllerContext
  #window: CompactionWindow | null
  readonly #slab = new Slab()
  readonly #readers = new Set<PartitionReader>()
  #memberReaders = 0
  readonly #sequences: RepeatedSequences
  #pending: PendingPublish[] = []
  #pendingBytes = 0
  readonly #roomBytes: number
  #room: Promise<void> | null = null
  #onRoom: (() => void) | null = null
  #isScheduled = false
  /** Groups handed to the engine and not yet settled, in offset order. */
  readonly #appending: AppendGroup[] = []
  /** Monotonic time since when a slow reader of a `block` topic has held the publishes back. */
  #blockedSinceMs: number | null = null

  constructor(
    topic: TopicFacts,
    partition: number,
    ring: TopicRing,
    window: CompactionWindow | null,
    context: ControllerContext,
  ) {
    super()
    this.topic = topic
    this.partition = partition
    this.ring = ring
    this.#window = window
    this.#context = context
    this.#sequences = new RepeatedSequences(context.engine, topic, partition)
    this.#roomBytes = Math.min(ROOM_BYTES, context.limits.publishPendingBytesMax / 2)
  }

  get readers(): number {
    return this.#readers.size
  }

  /** Readers that are no members of groups. */
  get subscribers(): number {
    return this.#readers.size - this.#memberReaders
  }

  /** Nothing is under way, nobody reads, and nothing is remembered that the engine does not keep. */
  get isIdle(): boolean {
    if (this.#pending.length > 0 || this.#appending.length > 0 || this.#readers.size > 0) return false
    return this.#window === null || this.#window.size === 0
  }

  /** Nothing is under way that time alone will settle. */
  get isSettled(): boolean {
    return this.#appending.length === 0 && (this.#pending.length === 0 || this.#blockedSinceMs !== null)
  }

  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** Keys in the compaction window. */
  get windowKeys(): number {
    return this.#window?.size ?? 0
  }

  /** Take a checked run. It is copied before this returns; the sink is told once it is appended. */
  publish(run: RecordRun, how: PublishHow, sink: PublishSink, token: number): void {
    const bytes = run.end - run.start
    const { limits, counters } = this.#context
    counters.publishes.value++
    if (this.#pendingBytes + bytes > limits.publishPendingBytesMax && this.#pendingBytes > 0) {
      counters.overloaded.value++
      const message = `${this.#pendingBytes} bytes are waiting to be appended to topic "${this.topic.name}"`
      sink.publishFailed(token, this.topic, new OverloadedError(message, { topic: this.topic.name }))
      return
    }
    const isRepeated = this.#window !== null && this.#sequences.take(how)
    const compacted = this.#window === null || isRepeated ? null : this.#compact(run, this.#window)
    if (compacted === null && run.isOwned === true && bytes >= ADOPTED_BYTES_MIN) {
      this.#enqueue(new PendingPublish(run.buffer, run.start, run.end, run.count, how, sink, token, null, isRepeated))
      return
    }
    const slab = this.#slab
    if (compacted === null) slab.copy(run.buffer, run.start, run.end)
    const kept = compacted === null ? bytes : compacted.bytes
    const start = slab.used - kept
    const { buffer, used } = slab
    this.#enqueue(new PendingPublish(buffer, start, used, run.count, how, sink, token, compacted, isRepeated))
  }

  /** Null while more may be published; else resolves when there is room again, and asking connections should wait. */
  room(): Promise<void> | null {
    if (this.#pendingBytes <= this.#roomBytes) return null
    this.#room ??= new Promise((resolve) => {
      this.#onRoom = resolve
    })
    return this.#room
  }

  /** Append what this turn gathered. */
  runTurn(): void {
    this.#isScheduled = false
    const pending = this.#pending
    if (pending.length === 0) return
    let next = 0
    while (next < pending.length) {
      const end = groupEnd(pending, next)
      if (!this.#mayAppend(pending, next, end)) break
      this.#append(next === 0 && end === pending.length ? pending : pending.slice(next, end))
      next = end
    }
    this.#pending = next === pending.length ? [] : pending.slice(next)
  }

  /** A reader's place; `until` is exclusive. Attached in the same step, so that nothing falls between. */
  reader(next: Offset, until: Offset | null, listener: ReaderListener): PartitionReader {
    return this.#attach(new PartitionReader(this, next, until, listener))
  }

  /** This partition is new: whoever reads `other` reads it too, from its beginning. */
  takeReadersOf(other: TopicController): void {
    for (const reader of other.#readers) {
      const own = this.#attach(reader.forNewPartition(this))
      reader.listener.grown(own)
    }
  }

  /** The topic has other settings now. A window that changed begins empty. */
  settingsChanged(window: CompactionWindow | null, isWindowChanged: boolean): void {
    const { ringBytes, ringRecords } = this.topic.settings
    this.ring.resize(ringBytes, ringRecords)
    if (isWindowChanged) this.#window = window
  }

  detach(reader: PartitionReader): void {
    if (this.#readers.delete(reader) && reader.listener.isMember === true) this.#memberReaders--
    this.advanced(reader)
  }

  /** A reader moved on: a publisher that waited for it may go on. */
  advanced(_reader: PartitionReader): void {
    if (this.#blockedSinceMs !== null) this.#schedule()
  }

  lagged(loss: Loss): void {
    this.#context.counters.recordsLagged.value += loss.to - loss.from
    this.emit('lagged', loss)
  }

  get logStart(): Offset {
    return this.#context.engine.logStart(this.topic.name, this.partition)
  }

  openCursor(from: Offset): Promise<Cursor> {
    return this.#context.engine.read(this.topic.name, this.partition, from)
  }

  expiredBefore(ageMs: number, nowMs: number): number {
    return this.#context.clock.expiredBefore(ageMs, nowMs)
  }

  /** Fail the publishes that a slow reader has held back for too long. Called once a second. */
  failBlocked(nowMs: number): void {
    const since = this.#blockedSinceMs
    if (since === null || nowMs - since < this.#context.limits.publishWaitMs) return
    this.#failPending(new OverloadedError(`a slow subscriber of topic "${this.topic.name}" holds its publishers back`))
  }

  /** The topic is gone: readers and waiting publishers are told. */
  close(error: LeveretError): void {
    this.#failPending(error)
    for (const reader of [...this.#readers]) reader.fail(error)
    this.#readers.clear()
    this.#memberReaders = 0
    this.removeAllListeners()
  }

  /** Trim what passes with time. */
  tidy(nowMs: number): void {
    this.#window?.trim(nowMs)
  }

  #attach(reader: PartitionReader): PartitionReader {
    this.#readers.add(reader)
    if (reader.listener.isMember === true) this.#memberReaders++
    return reader
  }

  #failPending(error: LeveretError): void {
    this.#blockedSinceMs = null
    const pending = this.#pending
    this.#pending = []
    this.#settle({ publishes: pending, count: 0, bytes: sumBytes(pending), body: null, receipt: null, error })
  }

  #haveRoom(): void {
    this.#room = null
    this.#onRoom?.()
    this.#onRoom = null
  }

  #enqueue(publish: PendingPublish): void {
    this.#pending.push(publish)
    this.#pendingBytes += publish.bytes + PENDING_OVERHEAD_BYTES
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#context.turn.atEnd(this)
  }

  #compact(run: RecordRun, window: CompactionWindow): CompactedRun {
    const compacted = compactRun(run, window, this.#slab, this.#context.clock.monotonic())
    this.#context.counters.duplicates.value += compacted.duplicates.length
    return compacted
  }

  /**
   * On a `block` topic an append waits while it would push unread records out of the ring. When everything is read,
   * a batch of any size may come: the ring always holds the newest one.
   */
  #mayAppend(pending: readonly PendingPublish[], start: number, end: number): boolean {
    if (this.topic.settings.slowConsumer !== 'block' || this.#readers.size === 0) return true
    let unread = this.ring.end
    for (const reader of this.#readers) if (reader.next < unread && !reader.isDone) unread = reader.next
    if (unread < this.ring.end || this.#appending.length > 0) {
      let bytes = 0
      let records = 0
      for (let index = start; index < end; index++) {
        bytes += (pending[index] as PendingPublish).bytes
        records += (pending[index] as PendingPublish).kept
      }
      for (const group of this.#appending) {
        bytes += group.bytes
        records += group.count
      }
      if (!this.ring.hasRoom(bytes, records, unread)) {
        this.#blockedSinceMs ??= this.#context.clock.monotonic()
        return false
      }
    }
    this.#blockedSinceMs = null
    return true
  }

  #append(publishes: PendingPublish[]): void {
    const first = publishes[0] as PendingPublish
    const last = publishes.at(-1) as PendingPublish
    let count = 0
    for (const publish of publishes) count += publish.kept
    const body = first.slab.subarray(first.start, last.end)
    const group: AppendGroup = { publishes, count, bytes: body.length, body, receipt: null, error: null }
    this.#appending.push(group)
    if (count === 0) {
      // Nothing but duplicates: settled in its order, after the records that they repeat.
      group.receipt = { baseOffset: this.ring.end, timestampMs: 0, durability: 'memory', replayed: true }
      this.#settleInOrder()
      return
    }
    if (first.isRepeated && !this.#sequences.isKnown(first.how)) {
      group.error = new UnavailableError('the publish that this one repeats could not be appended')
      this.#settleInOrder()
      return
    }
    this.#context.engine.publish(this.topic.name, this.partition, { body, count }, first.how).then(
      (receipt) => {
        group.receipt = receipt
        this.#settleInOrder()
      },
      (error: unknown) => {
        group.error = asLeveretError(error)
        this.#settleInOrder()
      },
    )
  }

  #settleInOrder(): void {
    for (let group = this.#appending[0]; group !== undefined; group = this.#appending[0]) {
      if (group.receipt === null && group.error === null) return
      this.#appending.shift()
      if (group.count === 0) this.#checkExpected(group)
      this.#settle(group)
    }
  }

  /** The engine checks the offset that a publish expects; a publish that appends nothing does not get there. */
  #checkExpected(group: AppendGroup): void {
    const expected = group.publishes[0]?.how.expectedOffset ?? null
    if (expected === null || expected === this.ring.end || group.error !== null) return
    group.receipt = null
    group.error = new WrongOffsetError(`offset ${expected} was expected, the next one is ${this.ring.end}`)
  }

  #settle(group: AppendGroup): void {
    this.#pendingBytes -= group.bytes + group.publishes.length * PENDING_OVERHEAD_BYTES
    const { receipt, body, count } = group
    this.#sequences.settled(group.publishes)
    if (receipt !== null && !receipt.replayed && body !== null) {
      const { counters } = this.#context
      counters.recordsAppended.value += count
      counters.bytesAppended.value += body.length
      const batch: StoredBatch = { body, count, baseOffset: receipt.baseOffset, timestampMs: receipt.timestampMs }
      this.ring.push(batch)
      for (const reader of this.#readers) reader.wake()
      this.emit('appended', batch)
    }
    if (group.error !== null) this.emit('failed', group.error)
    if (this.#blockedSinceMs !== null) this.#schedule()
    settleGroup(this.topic, this.partition, group, this.#window)
    if (this.#room !== null && this.#pendingBytes <= this.#roomBytes) this.#haveRoom()
  }
}

/** Where the group that starts at `start` ends: publishes that can share one append because their runs touch. */
function groupEnd(pending: readonly PendingPublish[], start: number): number {
  const first = pending[start] as PendingPublish
  if (!isPlain(first.how)) return start + 1
  let end = start + 1
  let touching = first.end
  while (end < pending.length) {
    const publish = pending[end] as PendingPublish
    if (publish.how !== first.how || publish.slab !== first.slab || publish.start !== touching) break
    if (publish.end - first.start > BATCH_BYTES_MAX) break
    touching = publish.end
    end++
  }
  return end
}
