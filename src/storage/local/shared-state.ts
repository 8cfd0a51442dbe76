/**
 * What operators see of a shared group. A member is silent while it has records and says nothing of any.
 */
import type { MemberFacts, SharedFacts } from '../../groups/shared/settings.js'
import type { GroupMemberState, GroupPartition, GroupState } from '../../model/group.js'
import { type Offset, toOffset } from '../../model/offset.js'
import type { GroupTally } from './local-group.js'
import type { SharedLane } from './shared-lane.js'

/** A member, as far as the machines do not know it. */
export interface SeatFacts {
  readonly name: string
  /** When it got the first record since it last said something; null: it got none. */
  readonly gotMs: number | null
}

type Held = Omit<MemberFacts, 'member'>

const NOTHING: Held = { held: 0, expired: 0, lastVerdictMs: null }

export function sharedState(
  name: string,
  lanes: readonly SharedLane[],
  seats: ReadonlyMap<number, SeatFacts>,
  nowMs: number,
): GroupState {
  const facts = lanes.map((lane) => lane.facts())
  const partitions = facts.map((one, index) => partitionOf(one, index, lanes[index] as SharedLane))
  const since = facts.map(({ oldest }) => oldest?.sinceMs ?? null).filter((sinceMs) => sinceMs !== null)
  return {
    name,
    mode: 'shared',
    isPaused: facts.some(({ paused }) => paused),
    generation: 0,
    lag: partitions.reduce((sum, { lag }) => sum + lag, 0),
    inFlight: partitions.reduce((sum, { inFlight }) => sum + inFlight, 0),
    oldestMs: since.length === 0 ? null : agoMs(nowMs, Math.min(...since)),
    redeliveries: sumOf(facts, 'redeliveries'),
    expired: sumOf(facts, 'expired'),
    deadLetters: sumOf(facts, 'deadLetters'),
    rebalances: 0,
    fenced: 0,
    partitions,
    members: membersOf(facts, seats, nowMs),
  }
}

export function countShared(
  tally: GroupTally,
  lanes: readonly SharedLane[],
  seats: ReadonlyMap<number, SeatFacts>,
  silentMs: number,
  nowMs: number,
): void {
  for (const lane of lanes) {
    const { redeliveries, expired, deadLetters, skipped } = lane.counters
    tally.lag += lane.lag
    tally.redeliveries += redeliveries
    tally.expired += expired
    tally.deadLetters += deadLetters
    tally.skipped += skipped
  }
  if (seats.size === 0) return
  const facts = lanes.map((lane) => lane.facts())
  for (const member of membersOf(facts, seats, nowMs)) {
    if (member.silentMs !== null && member.silentMs >= silentMs) tally.silentMembers++
  }
}

function partitionOf(facts: SharedFacts, partition: number, lane: SharedLane): GroupPartition {
  const position: Offset = toOffset(Math.max(lane.low, lane.logStart))
  const { lag } = lane
  const next = toOffset(Math.max(facts.next, lane.logStart))
  const { skipped } = facts
  return { partition, position, next, skipped, end: lane.end, lag, inFlight: facts.held, member: '' }
}

function membersOf(
  facts: readonly SharedFacts[],
  seats: ReadonlyMap<number, SeatFacts>,
  nowMs: number,
): GroupMemberState[] {
  const held = new Map<number, Held>()
  for (const { members } of facts) {
    for (const member of members) held.set(member.member, together(held.get(member.member) ?? NOTHING, member))
  }
  return Array.from(seats, ([number, { name, gotMs }]) => {
    const one = held.get(number) ?? NOTHING
    const sinceMs = Math.max(one.lastVerdictMs ?? gotMs ?? nowMs, gotMs ?? 0)
    const silentMs = one.held === 0 ? null : agoMs(nowMs, sinceMs)
    return { name, partitions: [], held: one.held, expired: one.expired, silentMs }
  })
}

function together(one: Held, other: Held): Held {
  const verdicts = [one.lastVerdictMs, other.lastVerdictMs].filter((ms) => ms !== null)
  return {
    held: one.held + other.held,
    expired: one.expired + other.expired,
    lastVerdictMs: verdicts.length === 0 ? null : Math.max(...verdicts),
  }
}

/** The time of a group goes back when its members are given what the process has lost. */
function agoMs(nowMs: number, sinceMs: number): number {
  return Math.max(0, Math.floor(nowMs - sinceMs))
}

function sumOf(facts: readonly SharedFacts[], counter: 'redeliveries' | 'expired' | 'deadLetters'): number {
  return facts.reduce((sum, one) => sum + one[counter], 0)
}
