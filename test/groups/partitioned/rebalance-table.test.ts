import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvariantError } from '../../../src/common/errors.js'
import {
  GROUP_MOVES,
  GROUP_STATES,
  type GroupMove,
  type GroupState,
  stateAfter,
} from '../../../src/groups/partitioned/rebalance-table.js'

const LEGAL: readonly (readonly [GroupState, GroupMove, GroupState, string])[] = [
  ['empty', 'changed', 'gathering', 'the first member makes an empty group gather'],
  ['gathering', 'changed', 'gathering', 'a gathering group takes more changes in'],
  ['gathering', 'assigned', 'stable', 'a gathering group that can give every partition at once is stable'],
  ['gathering', 'assigned-in-part', 'revoking', 'a gathering group with partitions to take away revokes them first'],
  ['gathering', 'deserted', 'empty', 'a gathering group may lose its last member'],
  ['revoking', 'changed', 'gathering', 'a change while revoking makes the group gather again'],
  ['revoking', 'handed-over', 'stable', 'a group is stable when its last revoked partition was handed over'],
  ['revoking', 'deserted', 'empty', 'a revoking group may lose its last member'],
  ['stable', 'changed', 'gathering', 'a change makes a stable group gather'],
  ['stable', 'deserted', 'empty', 'a stable group may lose its last member'],
]

for (const [from, move, to, sentence] of LEGAL) {
  test(sentence, () => assert.equal(stateAfter(from, move), to))
}

test('every other move is a defect', () => {
  let illegal = 0
  for (const state of GROUP_STATES) {
    for (const move of GROUP_MOVES) {
      if (LEGAL.some(([from, by]) => from === state && by === move)) continue
      assert.throws(() => stateAfter(state, move), InvariantError, `${state} ${move}`)
      illegal += 1
    }
  }
  assert.equal(illegal, GROUP_STATES.length * GROUP_MOVES.length - LEGAL.length)
})
