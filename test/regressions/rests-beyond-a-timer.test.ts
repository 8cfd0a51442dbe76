/** A timer of the system holds 24 days: one that was asked for more fired at once, again and again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/common/clock.js'
import { createBroker } from '../../src/index.js'
import { commitFrame, KEPT, WireClient } from '../helpers/wire-client.js'

const warnings: string[] = []
process.on('warning', ({ name }) => warnings.push(name))

test('a timer that is far away does not fire', async () => {
  let fired = 0
  const timers = [2 ** 31, 2 ** 40, 2 ** 53 - 1].map((delayMs) => systemClock.after(delayMs, () => fired++))
  await new Promise((resolve) => setTimeout(resolve, 30))
  for (const timer of timers) timer.cancel()
  assert.equal(fired, 0)
})

test('a record that is to rest for years costs nothing meanwhile', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('jobs', KEPT)
  await client.publish('jobs', ['a'])
  await client.subscribe('jobs', { mode: 'shared', group: 'workers', window: 1, ackWaitMs: 20 })
  await client.expect('delivery')
  await client.askFor('done', commitFrame({ offsets: [0], outcome: 'retry', delayMs: 2 ** 50 }))
  await new Promise((resolve) => setTimeout(resolve, 50))
  await client.ping()
  assert.deepEqual(warnings, [])
})
