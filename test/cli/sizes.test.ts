import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shortSize } from '../../src/cli/sizes.js'

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
