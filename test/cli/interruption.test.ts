import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Interruption } from '../../src/cli/interruption.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

function interruptionAt() {
  const clock = new VirtualClock()
  const ends: string[] = []
  const interruption = new Interruption(clock, (name) => ends.push(name))
  return { clock, interruption, ends }
}

test('the first signal asks for an orderly end, and is its reason', () => {
  const { interruption, ends } = interruptionAt()
  assert.equal(interruption.signal.aborted, false)
  interruption.ask('SIGTERM')
  assert.deepEqual([interruption.signal.aborted, interruption.signal.reason, ends], [true, 'SIGTERM', []])
})

test('what follows within a second is the same wish, whichever signal it is', () => {
  const { clock, interruption, ends } = interruptionAt()
  for (const name of ['SIGINT', 'SIGINT', 'SIGTERM'] as const) {
    interruption.ask(name)
    clock.advance(400)
  }
  assert.deepEqual(ends, [])
})

test('a later signal ends it at once', () => {
  const { clock, interruption, ends } = interruptionAt()
  interruption.ask('SIGTERM')
  clock.advance(50)
  interruption.ask('SIGTERM')
  clock.advance(950)
  interruption.ask('SIGINT')
  assert.deepEqual(ends, ['SIGINT'])
})
