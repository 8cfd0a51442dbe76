/**
 * How long a member of a shared group has its records: signals that abort when the ack wait is over, for those records
 * whose signal somebody asked for. One timer for all of them. Called by shared-reading.ts.
 */
import type { Clock, Timer } from '../src/common/clock.js'
import { LeaseLostError, type LeveretError } from '../src/common/errors.js'
import { LazySignal } from './lazy-signal.js'

/** The lease began at the server before the record arrived here, and ends there: so it ends here a little sooner. */
const MARGIN = 0.05
const MARGIN_MS_MAX = 500

/** What a lease needs to know of the delivery that a record came with. */
export interface LeasedRun {
  readonly partition: number
  readonly arrivedMs: number
}

interface Lease {
  readonly run: LeasedRun
  readonly signal: LazySignal
  endsMs: number
}

export class Leases {
  readonly #clock: Clock
  readonly #lengthMs: number
  /** By partition and offset. Only of records that were asked about, or held on to. */
  readonly #leases = new Map<number, Map<number, Lease>>()
  #count = 0
  #timer: Timer | null = null
  /** When the timer fires. */
  #timerMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, ackWaitMs: number) {
    this.#clock = clock
    this.#lengthMs = ackWaitMs - Math.min(ackWaitMs * MARGIN, MARGIN_MS_MAX)
  }

  signalOf(run: LeasedRun, offset: number): AbortSignal {
    const lease = this.#leaseOf(run, offset)
    if (lease.endsMs <= this.#clock.monotonic()) this.lose(run, offset, lost())
    else this.#watch(lease)
    return lease.signal.signal
  }

  /** The server is asked to let the ack wait begin anew. What is returned is to be called when it has. */
  extend(run: LeasedRun, offset: number): () => void {
    const lease = this.#leaseOf(run, offset)
    const endsMs = this.#clock.monotonic() + this.#lengthMs
    this.#watch(lease)
    return () => {
      lease.endsMs = Math.max(lease.endsMs, endsMs)
    }
  }

  /** The record is dealt with: its signal will not abort any more. */
  forget(partition: number, offset: number): void {
    if (this.#count === 0) return
    if (this.#leases.get(partition)?.delete(offset) === true) this.#count--
    if (this.#count === 0) this.#stop()
  }

  /** The server says that the record is not this member's. */
  lose(run: LeasedRun, offset: number, reason: LeveretError): void {
    const lease = this.#leases.get(run.partition)?.get(offset)
    if (lease?.run !== run) return
    this.forget(run.partition, offset)
    lease.signal.abort(reason)
  }

  loseAll(reason: LeveretError): void {
    const leases = [...this.#leases.values()].flatMap((ofPartition) => [...ofPartition.values()])
    this.#leases.clear()
    this.#count = 0
    this.#stop()
    for (const { signal } of leases) signal.abort(reason)
  }

  #leaseOf(run: LeasedRun, offset: number): Lease {
    const ofPartition = this.#leases.get(run.partition) ?? new Map<number, Lease>()
    this.#leases.set(run.partition, ofPartition)
    const known = ofPartition.get(offset)
    if (known?.run === run) return known
    // The record was lost and has come again: what is known of it is about the time before.
    if (known === undefined) this.#count++
    else known.signal.abort(lost())
    const lease = { run, signal: new LazySignal(), endsMs: run.arrivedMs + this.#lengthMs }
    ofPartition.set(offset, lease)
    return lease
  }

  #watch({ endsMs }: Lease): void {
    if (endsMs >= this.#timerMs) return
    this.#timer?.cancel()
    this.#timerMs = endsMs
    this.#timer = this.#clock.after(Math.max(1, endsMs - this.#clock.monotonic()), () => this.#expire())
  }

  #expire(): void {
    const nowMs = this.#clock.monotonic()
    this.#stop()
    let next: Lease | null = null
    const expired: Lease[] = []
    for (const ofPartition of this.#leases.values()) {
      for (const [offset, lease] of ofPartition) {
        if (lease.endsMs > nowMs) {
          if (next === null || lease.endsMs < next.endsMs) next = lease
          continue
        }
        ofPartition.delete(offset)
        this.#count--
        expired.push(lease)
      }
    }
    if (next !== null) this.#watch(next)
    for (const { signal } of expired) signal.abort(lost())
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#timerMs = Number.POSITIVE_INFINITY
  }
}

function lost(): LeaseLostError {
  return new LeaseLostError('the ack wait is over: the record goes to another member')
}
