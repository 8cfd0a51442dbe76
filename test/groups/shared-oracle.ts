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
  /** Of what is ready: who became so earlier has a lower one. Infinite for what was released, or is ready since a crash. */
  turn: number
}

/** A lease that a seek kept. */
interface NaiveAside extends NaiveRecord {
  readonly era: number
  readonly offset: number
}

interface Durable {
  readonly floor: number
  readonly done: readonly boolean[]
  readonly counts: readonly number[]
  /** Of what is rejected and not done with; else null. */
  readonly reasons: readonly (string | null)[]
  readonly paused: boolean
  readonly asides: readonly NaiveAside[]
}

export class NaiveGroup {
  settings: SharedSettings
  records: NaiveRecord[] = []
  start = 0
  paused = false
  /** Leases that seeks have kept, by era and offset. */
  asides: NaiveAside[] = []
  era = 0
  #turns = 0
  readonly #members = new Set<number>()
  /** Acked, a dead letter, purged or sought over, at least once. */
  readonly finished = new Set<number>()
  /** `member/offset` of what members lost without a word, since somebody looked. */
  lapses: string[] = []
  #durable: Durable = { floor: 0, done: [], counts: [], reasons: [], paused: false, asides: [] }

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

  /** In the window and aside. */
  count(...statuses: NaiveRecord['status'][]): number {
    const isOne = ({ status }: NaiveRecord) => statuses.includes(status)
    return this.offsets(isOne).length + this.asides.filter(isOne).length
  }

  heldBy(member: number): number {
    const isOne = ({ status, holder }: NaiveRecord) => status === 'held' && holder === member
    return this.offsets(isOne).length + this.asides.filter(isOne).length
  }

  get low(): number {
    return Math.min(this.floor, ...this.asides.map(({ offset }) => offset))
  }

  get inFlight(): number {
    return this.count('held', 'waiting', 'ready', 'dead', 'handed-over')
  }

  get firstDeadlineMs(): number {
    const pending = [...this.records, ...this.asides].filter(({ status }) => status === 'held' || status === 'waiting')
    return Math.min(Number.POSITIVE_INFINITY, ...pending.map(({ timeMs }) => timeMs))
  }

  publish(records: number): void {
    for (let each = 0; each < records; each++) this.records.push(fresh())
  }

  /** Era, offset and count of each. What comes next and does not lie `within` is neither given nor passed over. */
  take(
    member: number,
    max: number,
    nowMs: number,
    within: { readonly from: number; readonly to: number },
  ): [number, number, number][] {
    if (this.paused || max < 1) return []
    this.expire(nowMs)
    const { inFlightMax, spanMax, ackWaitMs } = this.settings
    const taken: [number, number, number][] = []
    const give = (era: number, offset: number, record: NaiveRecord): void => {
      taken.push([era, offset, record.count])
      Object.assign(record, { status: 'held', holder: member, timeMs: nowMs + ackWaitMs })
    }
    const ready = [
      ...this.asides,
      ...this.offsets(() => true).map((offset) => ({ era: this.era, offset, ...this.at(offset) })),
    ].filter(({ status }) => status === 'ready')
    const isWithin = (offset: number): boolean => offset >= within.from && offset < within.to
    for (const { era, offset } of ready.sort((one, other) => one.turn - other.turn || one.offset - other.offset)) {
      if (!isWithin(offset)) break
      if (taken.length < max && this.count('held') < inFlightMax) give(era, offset, this.#lease(era, offset))
    }
    if (this.count('ready') > 0 && this.count('held') < inFlightMax) return this.#taken(member, taken)
    for (let offset = this.next; offset < this.end; offset++) {
      if (isWithin(offset) && taken.length < max && this.inFlight < inFlightMax && offset - this.floor < spanMax)
        give(this.era, offset, this.at(offset))
      else break
    }
    return this.#taken(member, taken)
  }

  #taken(member: number, taken: [number, number, number][]): [number, number, number][] {
    if (taken.length > 0) this.#members.add(member)
    return taken
  }

  #lease(era: number, offset: number): NaiveRecord {
    return this.asides.find((aside) => aside.era === era && aside.offset === offset) ?? this.at(offset)
  }

  /** The offsets that the verdict does not count for. */
  settle(
    member: number,
    from: number,
    to: number,
    verdict: Verdict,
    nowMs: number,
    era: number | null = null,
  ): number[] {
    const isHere = era === null || era === this.era
    const isElsewhere = era !== this.era
    const all = Array.from({ length: to - from }, (_, index) => from + index)
    const open = all.filter((offset) => !(isHere && this.#settleOne(member, offset, verdict, nowMs)))
    return open.filter((offset) => !(isElsewhere && this.#settleAside(member, era, offset, verdict, nowMs)))
  }

  /** Of an era, or the newest one that the member has. */
  #settleAside(member: number, era: number | null, offset: number, verdict: Verdict, nowMs: number): boolean {
    if (!this.#members.has(member) || verdict.kind === 'reject') return false
    const aside = this.asides.findLast(
      (one) => one.offset === offset && one.holder === member && (era === null || one.era === era),
    )
    if (aside === undefined || (verdict.kind !== 'ack' && aside.status !== 'held')) return false
    if (verdict.kind === 'ack') this.asides = this.asides.filter((one) => one !== aside)
    else if (verdict.kind === 'extend') aside.timeMs = Math.max(aside.timeMs, nowMs + this.settings.ackWaitMs)
    else {
      aside.holder = null
      if (verdict.kind === 'retry') this.#redeliverAside(aside, verdict.delayMs, nowMs)
      else this.#ready(aside)
    }
    return true
  }

  #redeliverAside(aside: NaiveAside, delayMs: number | null, nowMs: number): void {
    aside.count++
    this.#rest(aside, delayMs, nowMs)
  }

  #ready(record: NaiveRecord): void {
    record.status = 'ready'
    record.turn = this.#turns++
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
      record.turn = Number.POSITIVE_INFINITY
      if (this.#isSpent(record)) this.#bury(offset, null)
    }
    if (verdict.kind === 'retry') this.#redeliver(offset, verdict.delayMs, nowMs)
    if (verdict.kind === 'reject') this.#bury(offset, verdict.reason)
    return true
  }

  leave(member: number, nowMs: number): number {
    this.#members.delete(member)
    const aside = this.asides.filter(({ status, holder }) => status === 'held' && holder === member)
    for (const one of aside) {
      one.holder = null
      this.#redeliverAside(one, 0, nowMs)
    }
    const held = this.offsets(({ status, holder }) => status === 'held' && holder === member)
    for (const offset of held) {
      this.at(offset).holder = null
      this.#redeliver(offset, 0, nowMs)
    }
    return aside.length + held.length
  }

  expire(nowMs: number): number {
    const isOver = ({ status, timeMs }: NaiveRecord) => (status === 'held' || status === 'waiting') && timeMs <= nowMs
    const over = [
      ...this.offsets(isOver).map((offset) => ({ offset, record: this.at(offset) })),
      ...this.asides.filter(isOver).map((record) => ({ offset: record.offset, record })),
    ]
    for (const { offset, record } of over.sort((one, other) => one.record.timeMs - other.record.timeMs)) {
      if (record.status === 'waiting') this.#ready(record)
      else if ('era' in record) {
        this.#lapseAside(record as NaiveAside)
        this.#redeliverAside(record as NaiveAside, null, nowMs)
      } else {
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
    for (const aside of this.asides) this.#lapseAside(aside)
    this.asides = []
    this.#seekTo(target)
  }

  /** What was given out, and is neither done with nor dead, stays as it is. */
  seekKeeping(target: number): void {
    const kept = this.offsets(
      ({ status, count }) => status === 'held' || status === 'waiting' || (status === 'ready' && count > 0),
    )
    for (const offset of kept) {
      const record = this.at(offset)
      // What no line knows joins it now.
      if (record.status === 'ready' && record.turn === Number.POSITIVE_INFINITY) record.turn = this.#turns++
      this.asides.push({ ...record, era: this.era, offset })
      record.status = 'new'
    }
    this.era++
    this.#seekTo(target)
  }

  #seekTo(target: number): void {
    for (const offset of this.offsets(() => true)) this.#lapse(offset)
    for (let offset = this.floor; offset < target; offset++) this.finished.add(offset)
    this.records = this.records.map(fresh)
    this.start = target
  }

  purge(logStart: number): number {
    const aside = this.asides.filter(({ offset }) => offset < logStart)
    for (const one of aside) this.#lapseAside(one)
    this.asides = this.asides.filter(({ offset }) => offset >= logStart)
    const lost = this.offsets(({ status }) => status !== 'done').filter((offset) => offset < logStart)
    for (const offset of lost) {
      this.#lapse(offset)
      this.#finish(offset)
    }
    this.start = Math.max(this.start, logStart)
    return aside.length + lost.length
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
    const asides = this.asides.map((aside) => ({ ...aside }))
    this.#durable = { floor: this.floor, done, counts, reasons, paused: this.paused, asides }
  }

  /** The era that begins is the machine's to choose. */
  crash(settings: SharedSettings, era: number): void {
    const { floor, done, counts, reasons, paused, asides } = this.#durable
    const isKnown = (offset: number): boolean =>
      done[offset] === true || (counts[offset] ?? 0) > 0 || (reasons[offset] ?? null) !== null
    const next = this.records.reduce((highest, _, offset) => (isKnown(offset) ? offset + 1 : highest), floor)
    this.start = floor
    this.paused = paused
    this.settings = settings
    this.asides = asides.map(({ era, offset }) => ({ ...fresh(), status: 'ready', era, offset, turn: this.#turns++ }))
    this.era = era
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

  #lapseAside({ status, holder, offset }: NaiveAside): void {
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
    this.#rest(record, delayMs, nowMs)
  }

  #rest(record: NaiveRecord, delayMs: number | null, nowMs: number): void {
    const steps = this.settings.backoffMs ?? []
    const rest = delayMs ?? steps[Math.min(record.count, steps.length) - 1] ?? 0
    if (rest > 0) {
      record.status = 'waiting'
      record.timeMs = nowMs + rest
    } else this.#ready(record)
  }

  #isSpent({ count }: NaiveRecord): boolean {
    return this.settings.maxDeliveries !== null && count >= this.settings.maxDeliveries
  }
}

function fresh(): NaiveRecord {
  return { status: 'new', holder: null, count: 0, timeMs: 0, reason: null, turn: Number.POSITIVE_INFINITY }
}
