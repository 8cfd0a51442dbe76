/**
 * The states of a partitioned group and the only moves between them. A move that has no row is a defect of whoever
 * asked for it, and fails loudly.
 *
 * | state     | what it means                                                  | changed   | assigned | assigned-in-part | handed-over | deserted |
 * |-----------|----------------------------------------------------------------|-----------|----------|------------------|-------------|----------|
 * | empty     | no members                                                     | gathering | -        | -                | -           | -        |
 * | gathering | members or partitions changed; waits a little for more of it   | gathering | stable   | revoking         | -           | empty    |
 * | revoking  | assigned; some partitions wait for their old owner to let go   | gathering | -        | -                | stable      | empty    |
 * | stable    | every partition is with the member it is meant for             | gathering | -        | -                | -           | empty    |
 */
import { InvariantError } from '../../common/errors.js'

export const GROUP_STATES = ['empty', 'gathering', 'revoking', 'stable'] as const
export type GroupState = (typeof GROUP_STATES)[number]

/**
 * `changed`: a member came or went, or partitions were added, and somebody is there. `assigned`: every partition was
 * given. `assigned-in-part`: some must be revoked first. `handed-over`: the last of those was given. `deserted`: the
 * last member went.
 */
export const GROUP_MOVES = ['changed', 'assigned', 'assigned-in-part', 'handed-over', 'deserted'] as const
export type GroupMove = (typeof GROUP_MOVES)[number]

export const REBALANCE_TABLE: Readonly<Record<GroupState, Readonly<Partial<Record<GroupMove, GroupState>>>>> = {
  empty: { changed: 'gathering' },
  gathering: { changed: 'gathering', assigned: 'stable', 'assigned-in-part': 'revoking', deserted: 'empty' },
  revoking: { changed: 'gathering', 'handed-over': 'stable', deserted: 'empty' },
  stable: { changed: 'gathering', deserted: 'empty' },
}

export function stateAfter(state: GroupState, move: GroupMove): GroupState {
  const next = REBALANCE_TABLE[state][move]
  if (next === undefined) throw new InvariantError(`a group that is ${state} cannot be ${move}`)
  return next
}
