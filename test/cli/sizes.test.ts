import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shortSize, shortTime } from '../../src/cli/sizes.js'

const SIZES: readonly (readonly [number, string])[] = [
  [0, '0B'],
  [1023, '1023B'],
  [1024, '1.0KiB'],
  [1536, '1.5KiB'],
  [1024 ** 2 - 1, '1.0MiB'],
  [31_917_596, '30.4MiB'],
  [5 * 1024 ** 3, '5.0GiB'],
  [5000 * 1024 ** 4, '5000.0TiB'],
]

test('scales a size to the unit in which it is read most easily', () => {
  for (const [bytes, text] of SIZES) assert.equal(shortSize(bytes), text)
})

test('says a time in the unit in which it is read most easily', () => {
  const times: readonly (readonly [number, string])[] = [
    [0, '0ms'],
    [999.9, '999ms'],
    [1_000, '1s'],
    [90_000, '90s'],
    [120_000, '2m'],
    [7_199_999, '119m'],
    [7_200_000, '2h'],
    [200_000_000, '2d'],
  ]
  for (const [ms, text] of times) assert.equal(shortTime(ms), text)
})
