import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { KEPT, recordsOf, WireClient } from '../helpers/wire-client.js'

const WINDOWED = { ...KEPT, compactionWindowMs: 60_000 }

test('a publish repeated with its sequence gets its first receipt again, duplicates and all', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', WINDOWED)
  await client.publish('topic', [...recordsOf(['0'], 'a'), ...recordsOf(['1'], 'b')])
  const records = [
    ...recordsOf(['dropped'], 'b'),
    ...recordsOf(['2'], 'c'),
    ...recordsOf(['3']),
    ...recordsOf(['dropped'], 'c'),
    ...recordsOf(['4'], 'd'),
  ]
  const how = { producer: 'p', sequence: 7 }
  const first = await client.publish('topic', records, how)
  assert.deepEqual([first.baseOffset, first.count], [2, 3])
  assert.deepEqual(
    [first.duplicates, first.keptOffsets],
    [
      [0, 3],
      [1, 2],
    ],
  )
  await client.publish('topic', recordsOf(['5'], 'e'))
  const { id: _first, ...wanted } = first
  const { id: _again, ...again } = await client.publish('topic', records, how)
  assert.deepEqual(again, wanted)
  assert.equal((await client.publish('topic', recordsOf(['6'], 'f'))).baseOffset, 6)
})

test('the same sequence twice in one turn is appended once and answered alike', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('topic', WINDOWED)
  const publish = () => client.publish('topic', recordsOf(['0'], 'a'), { producer: 'p', sequence: 1 })
  const [first, again] = await Promise.all([publish(), publish()])
  assert.deepEqual([first.baseOffset, first.count, first.duplicates], [0, 1, []])
  assert.deepEqual([again.baseOffset, again.count, again.duplicates], [0, 1, []])
  assert.equal((await client.publish('topic', recordsOf(['1'], 'b'))).baseOffset, 1)
})
