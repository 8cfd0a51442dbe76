/** Turns among the members of a shared group. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FairTurn } from '../../src/groups/shared/fair-turn.js'
import { fc } from '../helpers/fast-check.js'

/** Who is served when each gets `records` a turn, as long as somebody asks. */
function serve(turn: FairTurn, records: number, turnsMax: number): number[] {
  const order: number[] = []
  for (let member = turn.next(); member !== null && order.length < turnsMax; member = turn.next()) {
    order.push(member)
    turn.served(member, records)
  }
  return order
}

test('members take turns, in the order in which they first asked, until they have what they asked for', () => {
  const turn = new FairTurn()
  turn.ask(1, 3)
  turn.ask(2, 1)
  turn.ask(3, 2)
  assert.deepEqual([turn.asks(3), turn.asks(4)], [true, false])
  assert.deepEqual(serve(turn, 1, 100), [1, 2, 3, 1, 3, 1])
  assert.deepEqual([turn.next(), turn.total, turn.waiting, turn.asks(3)], [null, 0, 0, false])
})

test('asking again changes how much, and not whose turn it is', () => {
  const turn = new FairTurn()
  turn.ask(1, 3)
  turn.ask(2, 3)
  turn.ask(1, 5)
  assert.deepEqual([turn.next(), turn.total], [1, 8])
  turn.ask(1, 0)
  assert.deepEqual([turn.next(), turn.total], [2, 3])
})

test('a member that could not be served does not hold up the others', () => {
  const turn = new FairTurn()
  turn.ask(1, 1)
  turn.ask(2, 1)
  turn.served(1, 0)
  assert.equal(turn.next(), 2)
})

test('what there is is shared out: as much for each, rounded up, and never more than a member asks for', () => {
  const turn = new FairTurn()
  assert.equal(turn.shareOf(10), 0)
  turn.ask(1, 100)
  turn.ask(2, 2)
  turn.ask(3, 100)
  assert.equal(turn.shareOf(0), 0)
  assert.equal(turn.shareOf(1), 1)
  assert.equal(turn.shareOf(10), 4)
  turn.served(1, 4)
  assert.equal(turn.shareOf(6), 2)
})

test('between two turns of a member everybody else who asks all the while has exactly one', () => {
  const arbAsk = fc.record({ member: fc.nat({ max: 5 }), records: fc.nat({ max: 4 }) })
  fc.assert(
    fc.property(fc.array(arbAsk, { minLength: 1, maxLength: 60 }), (asks) => {
      const turn = new FairTurn()
      for (const always of [10, 11, 12]) turn.ask(always, 1_000)
      const served: number[] = []
      for (const { member, records } of asks) {
        turn.ask(member, records)
        const next = turn.next()
        assert.ok(next !== null)
        served.push(next)
        turn.served(next, 1)
      }
      const always = served.filter((member) => member >= 10)
      assert.deepEqual(
        always,
        always.map((_, index) => 10 + (index % 3)),
      )
    }),
  )
})
