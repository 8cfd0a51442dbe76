/**
 * One shared group of a topic: who takes part, whose turn it is, and one timer for all deadlines. What happens to a
 * record is in groups/shared, where records come from in shared-lane.ts.
 */
import type { Clock, Timer } from '../../common/clock.js'
import { ClosedError, PartitionNotFoundError } from '../../common/errors.js'
import type { Change } from '../../groups/shared/changes.js'
import { FairTurn } from '../../groups/shared/fair-turn.js'
import type { Lapse } from '../../groups/shared/lapses.js'
import type { Range, SharedSettings, Verdict } from '../../groups/shared/settings.js'
import { SharedPartition } from '../../groups/shared/shared-partition.js'
import type { GroupState } from '../../model/group.js'
import { FIRST_OFFSET, type Offset } from '../../model/offset.js'
import type { Loss } from '../../model/record.js'
import type { Durability, TopicSettings } from '../../model/topic.js'
import type { Share, ShareHow, ShareMember } from '../engine.js'
import type { GroupLog } from './group-log.js'
import { FORGETFUL } from './group-memory.js'
import type { GroupTally, LocalGroup, NewPartition, SoughtPartition } from './local-group.js'
import type { LocalPartition } from './local-partition.js'
import { type LaneOwner, SharedLane } from './shared-lane.js'
import { countShared, type SeatFacts, sharedState } from './shared-state.js'
import { StallGrace } from './stall-grace.js'

interface Seat extends SeatFacts {
  readonly member: ShareMember
  readonly bytesMax: number
  /** What it says need not be safer than what is published to the topic. */
  readonly isLikeTopic: boolean
  gotMs: number | null
}

/** The settings of the machines, from those of the topic and of the one who came last. */
function sharedSettings({ maxDeliveries }: TopicSettings, how: ShareHow): SharedSettings {
  const { ackWaitMs, backoffMs, inFlightMax, spanMax } = how
  return { ackWaitMs, backoffMs, inFlightMax, spanMax, maxDeliveries }
}

/** Who takes part, and whose turn it is. */
interface Company {
  readonly seats: Map<number, Seat>
  readonly turn: FairTurn
  /** Those that want to know when nothing is left. */
  readonly curious: Map<number, () => void>
  /** Of what is published to the topic. */
  topicLevel: Durability
}

/** Of every group that nobody takes part in: most are idle. Never written. */
const NO_COMPANY: Company = newCompany()

function newCompany(): Company {
  return { seats: new Map(), turn: new FairTurn(), curious: new Map(), topicLevel: 'disk' }
}

export class SharedGroup implements LocalGroup, LaneOwner {
  readonly name: string
  readonly mode = 'shared'
  how: ShareHow | null = null
  readonly #clock: Clock
  readonly #log: GroupLog
  #settings: SharedSettings = FORGETFUL
  readonly #lanes: SharedLane[] = []
  /** It is being written where they begin: they are in use when it is. */
  #growing: readonly SharedLane[] = []
  #company = NO_COMPANY
  /** Numbers of members are not given twice. */
  #nextMember = 0
  /** Where the next look for records begins. */
  #nextLane = 0
  #isGiving = false
  #isStirred = false
  #timer: Timer | null = null
  #timerMs = Number.POSITIVE_INFINITY
  readonly #stall = new StallGrace()
  #stoodStillMs = 0
  #closed: Error | null = null

  constructor(name: string, clock: Clock, log: GroupLog) {
    this.name = name
    this.#clock = clock
    this.#log = log
  }

  get partitions(): number {
    return this.#lanes.length
  }

  /** With those that nobody uses yet: a log that is begun anew has to tell where they begin. */
  get sources(): readonly SharedLane[] {
    return this.#growing.length === 0 ? this.#lanes : [...this.#lanes, ...this.#growing]
  }

  /** A partition as the log tells of it. They come in the order of their numbers, before anything else happens. */
  restore(records: LocalPartition, facts: readonly Change[]): void {
    const machine = SharedPartition.restore(facts, this.#settings)
    this.#lanes.push(new SharedLane(this, this.#lanes.length, machine, records, this.#log))
  }

  async grow(partitions: readonly NewPartition[]): Promise<void> {
    const first = this.#lanes.length
    const isPaused = this.#lanes.some((lane) => lane.isPaused)
    const lanes = partitions.map(({ records }, index) => {
      const machine = new SharedPartition(FIRST_OFFSET, this.#settings)
      if (isPaused) machine.pause()
      return new SharedLane(this, first + index, machine, records, this.#log)
    })
    this.#growing = lanes
    try {
      const begin = (lane: SharedLane, index: number) => lane.seek((partitions[index] as NewPartition).start)
      await Promise.all(this.#together(() => lanes.map(begin)))
    } catch (error) {
      for (const lane of lanes) this.#log.forget(lane)
      throw error
    } finally {
      this.#growing = []
    }
    this.#lanes.push(...lanes)
    this.stirred()
  }

  /** Time as its members have had it. */
  nowMs(): number {
    return this.#clock.monotonic() - this.#stoodStillMs
  }

  /** The topic has other settings, or a member came with its own. */
  configure(settings: TopicSettings, how: ShareHow | null = this.how): void {
    this.how = how
    if (how === null) return
    if (this.#company === NO_COMPANY) this.#company = newCompany()
    this.#company.topicLevel = settings.durability
    this.#settings = sharedSettings(settings, how)
    this.#together(() => {
      for (const lane of this.#lanes) lane.configure(this.#settings)
    })
  }

  /** Throws when it was closed while the member was on its way. */
  join({ member: name, deliveryBytesMax, settlesLikeTopic = false }: ShareHow, member: ShareMember): Share {
    if (this.#closed !== null) throw this.#closed
    const number = this.#nextMember++
    if (this.#company === NO_COMPANY) this.#company = newCompany()
    this.#seats.set(number, { name, member, bytesMax: deliveryBytesMax, isLikeTopic: settlesLikeTopic, gotMs: null })
    if (member.nothingLeft !== undefined) this.#company.curious.set(number, member.nothingLeft)
    return {
      ask: (records) => this.#ask(number, records),
      settle: (partition, from, to, verdict, era) => this.#settle(number, partition, from, to, verdict, era),
      leave: () => this.#leave(number),
    }
  }

  /** What nobody waits for has this level. */
  get level(): Durability | null {
    return this.how?.settlesLikeTopic === true ? this.#company.topicLevel : null
  }

  async seek(partitions: readonly SoughtPartition[], keepsLeases: boolean): Promise<void> {
    const seek = ({ partition, offset }: SoughtPartition) =>
      (this.#lanes[partition] as SharedLane).seek(offset, keepsLeases)
    await Promise.all(this.#together(() => partitions.map(seek)))
  }

  /** Resolves when it is written. */
  async pause(isPaused: boolean): Promise<void> {
    await Promise.all(this.#together(() => this.#lanes.map((lane) => lane.pause(isPaused))))
  }

  state(): Promise<GroupState> {
    return Promise.resolve(sharedState(this.name, this.#lanes, this.#seats, this.nowMs()))
  }

  count(tally: GroupTally, silentMs: number): void {
    countShared(tally, this.#lanes, this.#seats, silentMs, this.nowMs())
  }

  stirred(): void {
    if (this.#isGiving) {
      this.#isStirred = true
      return
    }
    this.#isGiving = true
    try {
      do {
        this.#isStirred = false
        while (this.#giveOne());
      } while (this.#isStirred)
    } finally {
      this.#isGiving = false
    }
    this.#setTimer()
    if (this.#company.curious.size > 0) this.#tellNothingLeft()
  }

  expired(partition: number, lapses: readonly Lapse[]): void {
    // Who asks for more now gets it when all of them are told.
    this.#together(() => {
      for (const { member: number, from, to, era } of lapses) {
        // Whoever else asks has its turn before: the records go rather to another one.
        this.#turn.served(number, 0)
        this.#seats.get(number)?.member.expired(partition, from, to, era)
      }
    })
  }

  lost(partition: number, loss: Loss): void {
    const next = this.#turn.next()
    const [first] = this.#seats.values()
    const seat = next === null ? first : this.#seats.get(next)
    seat?.member.lost(partition, loss)
  }

  close(reason: Error): void {
    if (this.#closed !== null) return
    this.#closed = reason
    this.#timer?.cancel()
    for (const lane of this.#lanes) lane.close()
    for (const [number, { member }] of this.#seats) {
      this.#turn.ask(number, 0)
      member.ended(reason)
    }
    this.#company = NO_COMPANY
  }

  get #seats(): Map<number, Seat> {
    return this.#company.seats
  }

  get #turn(): FairTurn {
    return this.#company.turn
  }

  #ask(number: number, records: number): void {
    if (!this.#seats.has(number)) return
    this.#turn.ask(number, records)
    if (records > 0) this.stirred()
  }

  #settle(
    number: number,
    partition: number,
    from: Offset,
    to: Offset,
    verdict: Verdict,
    era: number | null,
  ): Promise<readonly Range[]> {
    if (this.#closed !== null) return Promise.reject(new ClosedError('the group is closed'))
    const lane = this.#lanes[partition]
    if (lane === undefined) {
      return Promise.reject(new PartitionNotFoundError(`group "${this.name}" has no partition ${partition}`))
    }
    const seat = this.#seats.get(number)
    if (seat !== undefined) seat.gotMs = null
    return lane.settle(number, from, to, verdict, era, seat?.isLikeTopic === true ? this.#company.topicLevel : null)
  }

  #leave(number: number): void {
    if (!this.#seats.delete(number)) return
    this.#turn.ask(number, 0)
    this.#company.curious.delete(number)
    this.#together(() => {
      for (const lane of this.#lanes) lane.leave(number)
    })
    if (this.#seats.size > 0) return
    this.#company = NO_COMPANY
    for (const lane of this.#lanes) lane.rest()
    // Whoever comes says it anew; until then dead records may have to be buried.
    if (this.#lanes.every((lane) => lane.isDone)) this.how = null
    this.#cancelTimer()
    this.#setTimer()
  }

  /** What is being read may be more; when it is read, this is looked at again. */
  #tellNothingLeft(): void {
    if (this.#lanes.some((lane) => lane.isReading)) return
    for (const [number, tell] of this.#company.curious) if (this.#turn.asks(number)) tell()
  }

  #cancelTimer(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#timerMs = Number.POSITIVE_INFINITY
  }

  /** Each partition that it touches may be stirred: there is one look at all of them, when that is over. */
  #together<T>(act: () => T): T {
    const isGiving = this.#isGiving
    this.#isGiving = true
    try {
      return act()
    } finally {
      this.#isGiving = isGiving
      this.stirred()
    }
  }

  /** What there is for the member whose turn it is; false when there is nothing, or nobody asks. */
  #giveOne(): boolean {
    const number = this.#turn.next()
    const seat = number === null ? undefined : this.#seats.get(number)
    if (number === null || seat === undefined) return false
    for (let tried = 0; tried < this.#lanes.length; tried++) {
      const lane = this.#lanes[this.#nextLane++ % this.#lanes.length] as SharedLane
      const offer = lane.offer()
      // What expired just now was its own: others are first.
      if (this.#turn.next() !== number) return true
      if (offer === null) continue
      const deliveries = lane.take(number, offer, this.#turn.shareOf(offer.records), seat.bytesMax)
      const records = deliveries.reduce((sum, { from, to }) => sum + to - from, 0)
      if (records === 0) continue
      this.#turn.served(number, records)
      seat.gotMs ??= this.nowMs()
      for (const delivery of deliveries) seat.member.delivered(delivery)
      return true
    }
    return false
  }

  /** For the first deadline of all. One that has moved on is met in vain, once. */
  #setTimer(): void {
    if (this.#closed !== null) return
    let firstMs = Number.POSITIVE_INFINITY
    for (const { nextDeadlineMs } of this.#lanes) firstMs = Math.min(firstMs, nextDeadlineMs ?? firstMs)
    if (firstMs >= this.#timerMs) return
    this.#timer?.cancel()
    this.#timerMs = firstMs
    this.#timer = this.#clock.after(Math.max(0, firstMs - this.nowMs()), () => {
      this.#timerMs = Number.POSITIVE_INFINITY
      this.#stoodStillMs += this.#stall.graceFor(this.nowMs() - firstMs)
      this.#together(() => {
        for (const lane of this.#lanes) lane.pass()
      })
    })
  }
}
