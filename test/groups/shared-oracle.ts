/**
 * What a shared group should do, told as simply as it can be: one object per record, and a search through all of them
 * for every question. For shared-model.test.ts.
 */
import type { SharedSettings, Verdict } from '../../src/groups/shared/settings.js'

interface NaiveRecord {
  status: 'new' | 'held' | 'waiting' | 'ready' | 'dead' | 'handed-over' | 'done'
  /** Who has it, or had it when the lease ran out. */
  holder: number | null
  count: number
  timeMs: number
  reason: string | null
}

interface Durable {
  readonly floor: number
  readonly done: readonly boolean[]
  readonly counts: readonly number[]
  /** Of what is rejected and not done with; else null. */
  readonly reasons: readonly (string | null)[]
  readonly paused: boolean
}

export class NaiveGroup {
  settings: SharedSettings
  records: NaiveRecord[] = []
  start = 0
  paused = false
  readonly #members = new Set<number>()
  /** Acked, a dead letter, purged or sought over, at least once. */
  readonly finished = new Set<number>()
  /** `member/offset` of what members lost without a word, since somebody looked. */
  lapses: string[] = []
  #durable: Durable = { floor: 0, done: [], counts: [], reasons: [], paused: false }

  constructor(settings: SharedSettings) {
    this.settings = settings
  }

  get end(): number {
    return this.records.length
  }

  get floor(): number {
    for (let offset = this.start; offset < this.end; offset++) if (this.at(offset).status !== 'done') return offset
    return Math.max(this.start, this.end)
  }

  /** One beyond the highest record that was given out. */
  get next(): number {
    for (let offset = this.end; offset > this.start; offset--) if (this.at(offset - 1).status !== 'new') return offset
    return this.start
  }

  at(offset: number): NaiveRecord {
    const record = this.records[offset]
    if (record === undefined) throw new Error(`there is no record ${offset}`)
    return record
  }

  offsets(wants: (record: NaiveRecord) => boolean): number[] {
    return this.records.flatMap((record, offset) => (offset >= this.start && wants(record) ? [offset] : []))
  }

  count(...statuses: NaiveRecord['status'][]): number {
    return this.offsets(({ status }) => statuses.includes(status)).length
  }

  heldBy(member: number): number {
    return this.offsets(({ status, holder }) => status === 'held' && holder === member).length
  }

  get inFlight(): number {
    return this.count('held', 'waiting', 'ready', 'dead', 'handed-over')
  }

  get firstDeadlineMs(): number {
    const pending = this.records.filter(({ status }) => status === 'held' || status === 'waiting')
    return Math.min(Number.POSITIVE_INFINITY, ...pending.map(({ timeMs }) => timeMs))
  }

  publish(records: number): void {
    for (let each = 0; each < records; each++) this.records.push(fresh())
  }

  take(member: number, max: number, nowMs: number): [number, number][] {
    if (this.paused || max < 1) return []
    this.expire(nowMs)
    const { inFlightMax, spanMax, ackWaitMs } = this.settings
    const taken: [number, number][] = []
    const give = (offset: number): void => {
      const record = this.at(offset)
      taken.push([offset, record.count])
      this.records[offset] = { ...record, status: 'held', holder: member, timeMs: nowMs + ackWaitMs }
    }
    for (const offset of this.offsets(({ status }) => status === 'ready')) {
      if (taken.length < max && this.count('held') < inFlightMax) give(offset)
    }
    for (let offset = this.next; offset < this.end; offset++) {
      if (taken.length < max && this.inFlight < inFlightMax && offset - this.floor < spanMax) give(offset)
      else break
    }
    if (taken.length > 0) this.#members.add(member)
    return taken
  }

  /** The offsets that the verdict does not count for. */
  settle(member: number, from: number, to: number, verdict: Verdict, nowMs: number): number[] {
    const stale: number[] = []
    for (let offset = from; offset < to; offset++) {
      if (!this.#settleOne(member, offset, verdict, nowMs)) stale.push(offset)
    }
    return stale
  }

  #settleOne(member: number, offset: number, verdict: Verdict, nowMs: number): boolean {
    const record = this.records[offset]
    if (record === undefined || offset < this.start || record.holder !== member || !this.#members.has(member))
      return false
    if (verdict.kind === 'ack') {
      if (!['held', 'waiting', 'ready', 'dead'].includes(record.status)) return false
      this.#finish(offset)
      return true
    }
    if (record.status !== 'held') return false
    if (verdict.kind === 'extend') record.timeMs = Math.max(record.timeMs, nowMs + this.settings.ackWaitMs)
    else record.holder = null
    if (verdict.kind === 'release') {
      record.status = 'ready'
      if (this.#isSpent(record)) this.#bury(offset, null)
    }
    if (verdict.kind === 'retry') this.#redeliver(offset, verdict.delayMs, nowMs)
    if (verdict.kind === 'reject') this.#bury(offset, verdict.reason)
    return true
  }

  leave(member: number, nowMs: number): number {
    this.#members.delete(member)
    const held = this.offsets(({ status, holder }) => status === 'held' && holder === member)
    for (const offset of held) {
      this.at(offset).holder = null
      this.#redeliver(offset, 0, nowMs)
    }
    return held.length
  }

  expire(nowMs: number): number {
    const over = this.offsets(({ status, timeMs }) => (status === 'held' || status === 'waiting') && timeMs <= nowMs)
    for (const offset of over) {
      if (this.at(offset).status === 'waiting') this.at(offset).status = 'ready'
      else {
        this.#lapse(offset)
        this.#redeliver(offset, null, nowMs)
      }
    }
    return over.length
  }

  /** A dead record is handed over: its reason and deliveries, or null if it is none. Which one is next is not said here. */
  takeDead(offset: number): { reason: string; deliveries: number } | null {
    const record = this.at(offset)
    if (offset < this.start || record.status !== 'dead') return null
    record.status = 'handed-over'
    record.holder = null
    const { count, reason } = record
    return reason === null ? { reason: 'max-deliveries', deliveries: count } : { reason, deliveries: count + 1 }
  }

  deadDone(offset: number): boolean {
    if (offset < this.start || this.records[offset]?.status !== 'handed-over') return false
    this.#finish(offset)
    return true
  }

  deadFailed(offset: number): boolean {
    const record = this.records[offset]
    if (record === undefined || offset < this.start || record.status !== 'handed-over') return false
    this.#bury(offset, record.reason)
    return true
  }

  seek(target: number): void {
    for (const offset of this.offsets(() => true)) this.#lapse(offset)
    for (let offset = this.floor; offset < target; offset++) this.finished.add(offset)
    this.records = this.records.map(fresh)
    this.start = target
  }

  purge(logStart: number): number {
    const lost = this.offsets(({ status }) => status !== 'done').filter((offset) => offset < logStart)
    for (const offset of lost) {
      this.#lapse(offset)
      this.#finish(offset)
    }
    this.start = Math.max(this.start, logStart)
    return lost.length
  }

  configure(settings: SharedSettings): void {
    this.settings = settings
    for (const offset of this.offsets(({ status }) => status === 'ready' || status === 'waiting')) {
      if (this.#isSpent(this.at(offset))) this.#bury(offset, null)
    }
  }

  /** What has happened so far survives a crash. */
  keep(): void {
    const done = this.records.map(({ status }, offset) => offset < this.start || status === 'done')
    const counts = this.records.map(({ count }) => count)
    const reasons = this.records.map(({ status, reason }) =>
      status === 'dead' || status === 'handed-over' ? reason : null,
    )
    this.#durable = { floor: this.floor, done, counts, reasons, paused: this.paused }
  }

  crash(settings: SharedSettings): void {
    const { floor, done, counts, reasons, paused } = this.#durable
    const isKnown = (offset: number): boolean =>
      done[offset] === true || (counts[offset] ?? 0) > 0 || (reasons[offset] ?? null) !== null
    const next = this.records.reduce((highest, _, offset) => (isKnown(offset) ? offset + 1 : highest), floor)
    this.start = floor
    this.paused = paused
    this.settings = settings
    this.#members.clear()
    this.lapses = []
    this.records = this.records.map((_, offset) => {
      const status = done[offset] === true ? 'done' : offset < next ? 'ready' : 'new'
      return { ...fresh(), status, count: counts[offset] ?? 0 }
    })
    this.configure(settings)
    for (const [offset, reason] of reasons.entries()) {
      if (reason !== null && this.at(offset).status !== 'done') this.#bury(offset, reason)
    }
  }

  #lapse(offset: number): void {
    const { status, holder } = this.at(offset)
    if (status === 'held') this.lapses.push(`${holder}/${offset}`)
  }

  #finish(offset: number): void {
    this.records[offset] = { ...this.at(offset), status: 'done', holder: null }
    this.finished.add(offset)
  }

  #bury(offset: number, reason: string | null): void {
    this.at(offset).status = 'dead'
    this.at(offset).reason = reason
  }

  #redeliver(offset: number, delayMs: number | null, nowMs: number): void {
    const record = this.at(offset)
    record.count++
    if (this.#isSpent(record)) {
      this.#bury(offset, null)
      return
    }
    const steps = this.settings.backoffMs ?? []
    const rest = delayMs ?? steps[Math.min(record.count, steps.length) - 1] ?? 0
    record.status = rest > 0 ? 'waiting' : 'ready'
    record.timeMs = nowMs + rest
  }

  #isSpent({ count }: NaiveRecord): boolean {
    return this.settings.maxDeliveries !== null && count >= this.settings.maxDeliveries
  }
}

function fresh(): NaiveRecord {
  return { status: 'new', holder: null, count: 0, timeMs: 0, reason: null }
}
