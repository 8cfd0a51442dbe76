import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turn } from '../../src/common/turn.js'

test('runs what was gathered once the sockets were read, in the order in which it came', async () => {
  const turn = new Turn()
  const ran: string[] = []
  turn.atEnd({ runTurn: () => ran.push('a') })
  turn.atEnd({ runTurn: () => ran.push('b') })
  assert.deepEqual(ran, [])
  await turn.next()
  assert.deepEqual(ran, ['a', 'b'])
})

test('a task that asks for another turn gets one', async () => {
  const turn = new Turn()
  let runs = 0
  const task = {
    runTurn: () => {
      if (++runs < 3) turn.atEnd(task)
    },
  }
  turn.atEnd(task)
  await turn.next()
  assert.equal(runs, 1)
  await turn.next()
  await turn.next()
  assert.equal(runs, 3)
})

test('runs what comes afterwards in the same turn, with what that asks for in its wake', async () => {
  const turn = new Turn()
  const ran: string[] = []
  turn.atEnd({
    runTurn: () => {
      turn.afterwards({
        runTurn: () => {
          ran.push('deliver')
          turn.afterwards({ runTurn: () => ran.push('flush') })
        },
      })
      ran.push('append')
    },
  })
  await turn.next()
  await Promise.resolve()
  assert.deepEqual(ran, ['append', 'deliver', 'flush'])
})
