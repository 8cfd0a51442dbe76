import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ASSIGNORS,
  type Assignment,
  type Assignor,
  assignRange,
  assignRoundRobin,
  assignSticky,
  type MemberId,
} from '../../../src/groups/partitioned/assignors.js'
import { fc } from '../../helpers/fast-check.js'

const arbMembers = fc.uniqueArray(fc.constantFrom(...'abcdefgh', 'B', 'é', '漢', 'a-1', ''), { maxLength: 9 })
const arbPrevious = fc.array(fc.option(fc.constantFrom('a', 'b', 'c', 'd', 'gone')), { maxLength: 40 })
const everyAssignor = Object.entries(ASSIGNORS) as [string, Assignor][]

function sharesOf(assignment: Assignment, members: readonly MemberId[]): number[] {
  return members.map((member) => assignment.filter((owner) => owner === member).length)
}

/** Partitions that a member which is still there had, and has no more. */
function movesBetween(before: Assignment, after: Assignment, members: readonly MemberId[]): number {
  return after.filter((owner, partition) => {
    const had = before[partition] ?? null
    return had !== null && members.includes(had) && had !== owner
  }).length
}

/** Every balanced assignment, by trying all of them. */
function* balanced(partitions: number, members: readonly MemberId[]): Generator<MemberId[]> {
  for (let code = 0; code < members.length ** partitions; code++) {
    const owners: MemberId[] = []
    for (let rest = code; owners.length < partitions; rest = Math.floor(rest / members.length)) {
      owners.push(members[rest % members.length] as MemberId)
    }
    const shares = sharesOf(owners, members)
    if (Math.max(...shares) - Math.min(...shares) <= 1) yield owners
  }
}

for (const [name, assign] of everyAssignor) {
  test(`${name}: every partition has one member, and no member has two more than another`, () => {
    fc.assert(
      fc.property(fc.nat({ max: 40 }), arbMembers, arbPrevious, (partitions, members, previous) => {
        const assignment = assign(partitions, members, previous)
        assert.equal(assignment.length, partitions)
        if (members.length === 0) return assert.ok(assignment.every((owner) => owner === null))
        assert.ok(assignment.every((owner) => owner !== null && members.includes(owner)))
        const shares = sharesOf(assignment, members)
        assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, `shares ${shares}`)
      }),
      { numRuns: 1_000 },
    )
  })

  test(`${name}: the order in which members are named, and naming one twice, change nothing`, () => {
    const arbOrders = arbMembers.chain((members) =>
      fc.tuple(fc.constant(members), fc.shuffledSubarray(members, { minLength: members.length })),
    )
    fc.assert(
      fc.property(fc.nat({ max: 40 }), arbOrders, arbPrevious, (partitions, [one, other], previous) => {
        const assignment = assign(partitions, one, previous)
        assert.deepEqual(assign(partitions, other, previous), assignment)
        assert.deepEqual(assign(partitions, [...other, ...one], previous), assignment)
      }),
    )
  })
}

test('range gives neighbours to one member, the first members one more', () => {
  assert.deepEqual(assignRange(7, ['c', 'a', 'b'], []), ['a', 'a', 'a', 'b', 'b', 'c', 'c'])
})

test('round-robin deals partitions out like cards', () => {
  assert.deepEqual(assignRoundRobin(7, ['c', 'a', 'b'], []), ['a', 'b', 'c', 'a', 'b', 'c', 'a'])
})

test('sticky moves nothing if nothing changed', () => {
  fc.assert(
    fc.property(fc.nat({ max: 40 }), arbMembers, arbPrevious, (partitions, members, previous) => {
      const once = assignSticky(partitions, members, previous)
      assert.deepEqual(assignSticky(partitions, members, once), once)
    }),
  )
})

test('sticky moves as few partitions as any balanced assignment could', () => {
  const arbSmall = fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 })
  const arbBefore = fc.array(fc.option(fc.constantFrom('a', 'b', 'c', 'gone')), { maxLength: 7 })
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 6 }), arbSmall, arbBefore, (partitions, members, previous) => {
      const moved = movesBetween(previous, assignSticky(partitions, members, previous), members)
      let fewest = Number.POSITIVE_INFINITY
      for (const other of balanced(partitions, members)) {
        fewest = Math.min(fewest, movesBetween(previous, other, members))
      }
      assert.equal(moved, fewest)
    }),
    { numRuns: 300 },
  )
})

test('sticky takes from a full group only what one who joins needs', () => {
  fc.assert(
    fc.property(fc.nat({ max: 40 }), arbMembers, (partitions, members) => {
      const before = assignSticky(partitions, members, [])
      const after = assignSticky(partitions, [...members, 'one more'], before)
      const share = after.filter((owner) => owner === 'one more').length
      assert.equal(share, Math.floor(partitions / (members.length + 1)))
      assert.equal(movesBetween(before, after, members), members.length === 0 ? 0 : share)
    }),
  )
})

test('sticky moves only the partitions of a member that leaves', () => {
  fc.assert(
    fc.property(fc.nat({ max: 40 }), arbMembers, (partitions, members) => {
      const before = assignSticky(partitions, members, [])
      const left = members.slice(1)
      assert.equal(movesBetween(before, assignSticky(partitions, left, before), left), 0)
    }),
  )
})
