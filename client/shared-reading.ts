/**
 * A member of a shared group: each record is its own until it has said what became of it, or the ack wait is over, or its
 * connection. Called by subscription.ts.
 */
import { ClosedError, LeaseLostError, type LeveretError } from '../src/common/errors.js'
import { groupProgress } from './group-requests.js'
import { LazySignal } from './lazy-signal.js'
import { Leases } from './leases.js'
import type { Progress, ReaderName, Reading, ReadingHost } from './reading.js'
import { type DeliveredRun, RELEASE, type Verdict } from './received-record.js'
import { Verdicts } from './verdicts.js'

const ACK: Verdict = { outcome: 'ack', delayMs: 0, reason: '' }
const EXTEND: Verdict = { outcome: 'extend', delayMs: 0, reason: '' }

export class SharedReading<T> implements Reading<T> {
  readonly name: ReaderName
  readonly isOrdered = false
  readonly #host: ReadingHost<T>
  readonly #isManual: boolean
  readonly #verdicts: Verdicts
  readonly #leases: Leases
  /** What the user has said something of and not passed by yet: asking for the next record says nothing more of it. */
  readonly #said = new Set<number>()
  #saidOf: DeliveredRun<T> | null = null

  constructor(host: ReadingHost<T>, name: ReaderName) {
    this.name = name
    this.#host = host
    this.#isManual = host.options.manualCommit === true
    const { context, number } = host
    this.#verdicts = new Verdicts(context, number, (records) => host.leasesLost(records))
    this.#leases = new Leases(context.settings.clock, host.ackWaitMs)
  }

  up(): void {
    this.#host.subscribe(this.#host.start)
  }

  down(): void {
    // What was fetched is given to other members, or comes again.
    this.#host.queue.clear()
    this.#lose(new LeaseLostError('the connection was lost: the record comes again'))
  }

  delivered(run: DeliveredRun<T>): void {
    run.arrivedMs = this.#host.context.settings.clock.monotonic()
    this.#host.queue.push(run)
    // The server never lets it have more than its window: of the oldest ones the ack wait is over, and they come again.
    this.#host.queue.keepNewest(this.#host.window)
  }

  assigned(): void {
    // Members of a shared group have records, not partitions.
  }

  lostFrom(_partition: number, from: number): number {
    return from
  }

  begun(): void {
    // A record is this member's from its arrival on.
  }

  consumed(run: DeliveredRun<T>, records: number): void {
    if (run.epoch !== this.#host.epoch || this.#isManual) return
    // One record at a time is handed out, or the rest of a delivery with it.
    for (let offset = run.nextOffset - records; offset < run.nextOffset; offset++) {
      if (this.#saidOf === run && this.#said.delete(offset)) continue
      this.#ack(run, offset)
    }
  }

  /** In a group it is said of this record alone. */
  commitUpTo(run: DeliveredRun<T>, offset: number): void {
    if (run.epoch !== this.#host.epoch || this.#host.isOver) return
    this.#noteSaid(run, offset)
    this.#ack(run, offset)
  }

  acknowledge(run: DeliveredRun<T>, offset: number): Promise<void> {
    return this.settle(run, offset, ACK)
  }

  settle(run: DeliveredRun<T>, offset: number, verdict: Verdict): Promise<void> {
    const refusal = this.#refusal(run)
    if (refusal !== null) return Promise.reject(refusal)
    if (verdict.outcome === 'extend') return this.#extend(run, offset)
    this.#noteSaid(run, offset)
    this.#leases.forget(run.partition, offset)
    return this.#verdicts.say(run.partition, offset, verdict)
  }

  signalOf(run: DeliveredRun<T>, offset: number): AbortSignal {
    const refusal = this.#refusal(run)
    if (refusal === null) return this.#leases.signalOf(run, offset)
    const lost = new LazySignal()
    lost.abort(refusal)
    return lost.signal
  }

  progress(): Promise<Progress> {
    const { context, topicName } = this.#host
    // What members have at hand is nothing that this one could get; what rests before it comes again is.
    return groupProgress(context.requests, topicName, this.name.group, ({ lag, members }) => {
      return lag <= members.reduce((sum, { held }) => sum + held, 0)
    })
  }

  leaving(): boolean {
    for (const run of this.#host.queue.fetched) this.late(run)
    this.#verdicts.sayLeaving()
    return true
  }

  /** Nobody has looked at what is left of it: it is given back, and its delivery is not counted. */
  late(run: DeliveredRun<T>): void {
    if (run.epoch !== this.#host.epoch) return
    this.#sayOfRest(run, RELEASE)
  }

  flush(): void {
    this.#verdicts.flush()
  }

  answered(): Promise<void> {
    return this.#verdicts.idle()
  }

  drained(): Promise<boolean> {
    return Promise.resolve(false)
  }

  over(reason: LeveretError): void {
    this.#leases.loseAll(reason)
  }

  close(reason: LeveretError): void {
    this.#lose(reason)
  }

  extendFetched(): void {
    for (const run of this.#host.queue.fetched) {
      this.#sayOfRest(run, EXTEND)
      run.arrivedMs = this.#host.context.settings.clock.monotonic()
    }
  }

  /** Of what is not handed out. */
  #sayOfRest(run: DeliveredRun<T>, verdict: Verdict): void {
    const end = run.nextOffset + run.remaining
    for (let offset = run.nextOffset; offset < end; offset++) this.#verdicts.sayOf(run.partition, offset, verdict)
  }

  #ack({ partition }: DeliveredRun<T>, offset: number): void {
    this.#leases.forget(partition, offset)
    this.#verdicts.sayOf(partition, offset, ACK)
  }

  async #extend(run: DeliveredRun<T>, offset: number): Promise<void> {
    const extended = this.#leases.extend(run, offset)
    try {
      await this.#verdicts.say(run.partition, offset, EXTEND)
    } catch (error) {
      if (error instanceof LeaseLostError) this.#leases.lose(run, offset, error)
      throw error
    }
    extended()
  }

  #noteSaid(run: DeliveredRun<T>, offset: number): void {
    if (this.#isManual || !this.#host.queue.isHanded(run)) return
    if (this.#saidOf !== run) this.#said.clear()
    this.#saidOf = run
    this.#said.add(offset)
  }

  /** Why nothing can be said any more of the records of this delivery. */
  #refusal(run: DeliveredRun<T>): LeveretError | null {
    if (this.#host.isOver) return new ClosedError('the subscription is over')
    if (run.epoch === this.#host.epoch) return null
    return new LeaseLostError('the connection was lost: the record comes again')
  }

  #lose(reason: LeveretError): void {
    this.#said.clear()
    this.#saidOf = null
    this.#verdicts.fail(reason)
    this.#leases.loseAll(reason)
  }
}
