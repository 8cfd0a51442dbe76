import assert from 'node:assert/strict'
import { test } from 'node:test'
import { murmur2, partitionOf } from '../../src/broker/partitioner.js'

/** What Kafka's own tests say of its hash. */
const VECTORS: readonly (readonly [string, number])[] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

test('hashes keys as Kafka does', () => {
  for (const [key, hash] of VECTORS) assert.equal(murmur2(Buffer.from(key)), hash, key)
})

test('a key has its partition for ever', () => {
  const places = (partitions: number) => VECTORS.map(([key]) => partitionOf(Buffer.from(key), partitions))
  assert.deepEqual(places(1), [0, 0, 0, 0, 0, 0])
  assert.deepEqual(
    places(7),
    VECTORS.map(([, hash]) => (hash & 0x7fff_ffff) % 7),
  )
})

test('every length of the rest and every byte counts', () => {
  const seen = new Set<number>()
  for (let length = 0; length <= 9; length++) {
    for (let byte = 0; byte < 256; byte += 51) seen.add(murmur2(Buffer.alloc(length, byte)))
  }
  assert.equal(seen.size, 1 + 9 * 6)
})

test('keys are spread evenly enough', () => {
  const counts = new Array<number>(16).fill(0)
  for (let key = 0; key < 16_000; key++) {
    const partition = partitionOf(Buffer.from(`key-${key}`), 16)
    counts[partition] = (counts[partition] as number) + 1
  }
  for (const count of counts) assert.ok(count > 850 && count < 1_150, `${counts}`)
})
