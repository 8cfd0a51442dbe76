/**
 * What is said of the records of a shared group: one Commit a turn for each partition and outcome, however many records it
 * speaks of, and for each of those who wait the truth about their own record. Called by shared-reading.ts.
 */
import type { Timer } from '../src/common/clock.js'
import { LeaseLostError, LeveretError } from '../src/common/errors.js'
import type { TurnTask } from '../src/common/turn.js'
import type { ServerFrame } from '../src/protocol/frames.js'
import { verdictOn } from './commit-frames.js'
import { inDoubt } from './in-doubt.js'
import type { Answerable } from './link.js'
import { nothing, quiet } from './quiet.js'
import type { SubscribeContext } from './reading.js'
import { RELEASE, type Verdict } from './received-record.js'
import { errorOf } from './requests.js'

/** So that a Commit fits into the smallest frame limit that a server has. */
const OFFSETS_MAX = 4_096

export class Verdicts implements TurnTask {
  readonly #context: SubscribeContext
  readonly #subscription: number
  /** For so many records it did not count. */
  readonly #onLost: (records: number) => void
  #gathered: Saying[] = []
  /** Mostly the next record is said the same of. */
  #last: Saying | null = null
  readonly #underWay = new Set<Saying>()
  #isScheduled = false
  readonly #whenIdle: (() => void)[] = []

  constructor(context: SubscribeContext, subscription: number, onLost: (records: number) => void) {
    this.#context = context
    this.#subscription = subscription
    this.#onLost = onLost
  }

  /** Resolves when it is safe. Rejects with LVT_LEASE_LOST when the record is done with or another's, or with what the server says. */
  say(partition: number, offset: number, verdict: Verdict): Promise<void> {
    const waiter = new Waiter(offset)
    const saying = this.#sayingOf(partition, verdict)
    saying.offsets.push(offset)
    saying.waiters.push(waiter)
    return waiter.promise
  }

  /** Nobody waits for the answer. */
  sayOf(partition: number, offset: number, verdict: Verdict): void {
    this.#sayingOf(partition, verdict).offsets.push(offset)
  }

  /** Nothing more is wanted, whatever is on its way: an empty release. */
  sayLeaving(): void {
    this.#sayingOf(0, RELEASE)
  }

  runTurn(): void {
    this.#isScheduled = false
    this.flush()
  }

  flush(): void {
    const gathered = this.#gathered
    if (gathered.length === 0) return
    this.#gathered = []
    this.#last = null
    const { link, settings } = this.#context
    for (const saying of gathered) {
      this.#underWay.add(saying)
      saying.timer = settings.clock.after(settings.requestTimeoutMs, () => {
        link.forget(saying.id)
        this.#settle(saying, new LeveretError('LVT_TIMEOUT', 'no answer came in time'))
      })
      saying.id = link.nextId(saying)
      link.send(verdictOn(saying.id, this.#subscription, saying.partition, saying.offsets, saying.verdict))
    }
  }

  /** Resolves when everything is answered. */
  idle(): Promise<void> {
    if (this.#underWay.size === 0 && this.#gathered.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#whenIdle.push(resolve))
  }

  /** The connection is lost. What was sent may have counted; of what was not, `error` is said. */
  fail(error: LeveretError): void {
    const gathered = this.#gathered
    this.#gathered = []
    this.#last = null
    for (const saying of this.#underWay) this.#settle(saying, inDoubt())
    for (const saying of gathered) this.#settle(saying, error)
  }

  #sayingOf(partition: number, verdict: Verdict): Saying {
    const last = this.#last
    if (last?.partition === partition && last.verdict === verdict && last.offsets.length < OFFSETS_MAX) return last
    const gathered = this.#gathered
    for (let index = gathered.length - 1; index >= 0; index--) {
      const saying = gathered[index] as Saying
      if (saying.isOf(partition, verdict) && saying.offsets.length < OFFSETS_MAX) return saying
    }
    const saying = new Saying(partition, verdict, (answer) => this.#answered(saying, answer))
    gathered.push(saying)
    this.#last = saying
    if (!this.#isScheduled) {
      this.#isScheduled = true
      this.#context.turn.afterwards(this)
    }
    return saying
  }

  #answered(saying: Saying, frame: ServerFrame): void {
    this.#settle(saying, frame.kind === 'failure' ? errorOf(frame) : null)
  }

  #settle(saying: Saying, error: LeveretError | null): void {
    saying.timer?.cancel()
    this.#underWay.delete(saying)
    const { waiters } = saying
    if (error === null) for (const waiter of waiters) waiter.resolve()
    else {
      const isLost = error instanceof LeaseLostError
      const named = isLost && error.offsets.length > 0 ? new Set(error.offsets) : null
      for (const waiter of waiters) {
        if (named === null || named.has(waiter.offset)) waiter.fail(error)
        else waiter.resolve()
      }
      // What was not handed out is no loss to anybody.
      if (isLost && saying.verdict.outcome !== 'release') this.#onLost(named?.size ?? saying.offsets.length)
    }
    if (this.#underWay.size > 0 || this.#gathered.length > 0) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }
}

/** One Commit, and who waits for its answer. */
class Saying implements Answerable {
  readonly partition: number
  readonly verdict: Verdict
  readonly offsets: number[] = []
  readonly waiters: Waiter[] = []
  readonly onAnswer: (frame: ServerFrame) => void
  id = 0
  timer: Timer | null = null

  constructor(partition: number, verdict: Verdict, onAnswer: (frame: ServerFrame) => void) {
    this.partition = partition
    this.verdict = verdict
    this.onAnswer = onAnswer
  }

  isOf(partition: number, { outcome, delayMs, reason }: Verdict): boolean {
    const own = this.verdict
    return partition === this.partition && outcome === own.outcome && delayMs === own.delayMs && reason === own.reason
  }
}

class Waiter {
  readonly offset: number
  readonly promise: Promise<void>
  resolve: () => void = nothing
  #reject: (error: LeveretError) => void = nothing

  constructor(offset: number) {
    this.offset = offset
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.#reject = reject
    })
  }

  fail(error: LeveretError): void {
    // Made quiet here and not at once: hardly any of them fails.
    void quiet(this.promise)
    this.#reject(error)
  }
}
