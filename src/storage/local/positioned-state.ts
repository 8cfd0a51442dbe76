/**
 * What operators see of a group that assigns partitions. A member is silent while there are records in its partitions and
 * it commits nothing.
 */
import type { Clock } from '../../common/clock.js'
import type { MemberFacts } from '../../groups/partitioned/partitioned-facts.js'
import type { GroupMemberState, GroupPartition, GroupState } from '../../model/group.js'
import type { GroupTally } from './local-group.js'
import type { PositionLane, PositionOwner } from './position-lane.js'

/** `fenced` are commits that the machine has not seen. */
export async function positionedState(
  { name, mode, machine }: PositionOwner,
  lanes: readonly PositionLane[],
  fenced: number,
  clock: Clock,
): Promise<GroupState> {
  const ages = await Promise.all(lanes.map((lane) => lane.lagsForMs(clock.now()).catch(() => null)))
  const { generation, members, rebalances, sessionsExpired, commitsFenced } = machine.facts()
  const partitions = lanes.map((lane) => partitionOf(lane, machine.ownerOf(lane.partition)))
  const known = ages.filter((age) => age !== null)
  return {
    name,
    mode,
    isPaused: false,
    generation,
    lag: partitions.reduce((sum, { lag }) => sum + lag, 0),
    inFlight: 0,
    oldestMs: known.length === 0 ? null : Math.max(...known),
    redeliveries: 0,
    expired: sessionsExpired,
    deadLetters: 0,
    rebalances,
    fenced: commitsFenced + fenced,
    partitions,
    members: members.map((member) => memberOf(member, ages, clock.monotonic())),
  }
}

export function countPositioned(
  tally: GroupTally,
  { machine }: PositionOwner,
  lanes: readonly PositionLane[],
  silentMs: number,
  nowMs: number,
): void {
  for (const lane of lanes) {
    const { lag } = lane
    tally.lag += lag
    lane.lagsSinceMs = lag === 0 ? null : (lane.lagsSinceMs ?? nowMs)
  }
  const { members, rebalances, sessionsExpired, commitsFenced } = machine.facts()
  tally.rebalances += rebalances
  tally.expired += sessionsExpired
  tally.fenced += commitsFenced
  const sinceMs = nowMs - silentMs
  const isSilent = ({ partitions, committedMs }: MemberFacts) =>
    (committedMs ?? 0) <= sinceMs && partitions.some((partition) => isBehind(lanes[partition], sinceMs))
  tally.silentMembers += members.filter(isSilent).length
}

function isBehind(lane: PositionLane | undefined, sinceMs: number): boolean {
  return lane !== undefined && lane.lagsSinceMs !== null && lane.lagsSinceMs <= sinceMs
}

function partitionOf({ partition, position, end, lag }: PositionLane, owner: string | null): GroupPartition {
  return { partition, position, end, lag, inFlight: 0, member: owner ?? '' }
}

function memberOf(
  { member, partitions, committedMs, heardMs }: MemberFacts,
  ages: readonly (number | null)[],
  nowMs: number,
): GroupMemberState {
  const mine = partitions.map((partition) => ages[partition] ?? null).filter((age) => age !== null)
  // It was heard when it came, at the latest.
  const quietMs = nowMs - (committedMs ?? heardMs)
  const silentMs = mine.length === 0 ? null : Math.floor(Math.min(quietMs, Math.max(...mine)))
  return { name: member, partitions, held: 0, expired: 0, silentMs }
}
