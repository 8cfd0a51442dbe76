import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { VirtualClock } from '../helpers/virtual-clock.js'
import { KEPT, recordsOf, WireClient } from '../helpers/wire-client.js'

test('a corrected wall clock makes no compaction window longer or shorter', async () => {
  const clock = new VirtualClock()
  await using broker = await createBroker({ clock })
  await using client = await WireClient.connect(broker)
  await client.create('topic', { ...KEPT, compactionWindowMs: 60_000 })
  const publish = () => client.publish('topic', recordsOf(['a'], 'key'))
  assert.equal((await publish()).count, 1)
  clock.jumpWall(3_600_000)
  assert.equal((await publish()).count, 0, 'a jump forwards does not end the window')
  clock.jumpWall(-7_200_000)
  clock.advance(60_000)
  assert.equal((await publish()).count, 1, 'a jump back does not prolong it')
})
