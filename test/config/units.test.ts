import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/config/units.js'
import { fc } from '../helpers/fast-check.js'

test('reads durations with their unit', () => {
  const cases: readonly (readonly [string, number | null])[] = [
    ['500ms', 500],
    ['10s', 10_000],
    ['5m', 300_000],
    ['1h', 3_600_000],
    ['7d', 604_800_000],
    ['1.5s', 1500],
    ['0s', 0],
    ['10', null],
    ['', null],
    ['s', null],
    ['-1s', null],
    ['1w', null],
    ['1s 1s', null],
    ['0.1ms', null],
    ['99999999999999999d', null],
  ]
  for (const [text, expected] of cases) assert.equal(parseDuration(text), expected, text)
})

test('reads sizes with and without a unit', () => {
  const cases: readonly (readonly [string, number | null])[] = [
    ['64KiB', 65_536],
    ['8MiB', 8_388_608],
    ['8mib', 8_388_608],
    ['1.5KiB', 1536],
    ['100', 100],
    ['100B', 100],
    ['1 GiB', 1_073_741_824],
    ['8MB', null],
    ['0.3B', null],
    ['KiB', null],
  ]
  for (const [text, expected] of cases) assert.equal(parseSize(text), expected, text)
})

test('writes what it reads', () => {
  fc.assert(
    fc.property(fc.nat(), (value) => {
      assert.equal(parseSize(formatSize(value)), value)
      if (value > 0) assert.equal(parseDuration(formatDuration(value)), value)
    }),
  )
  assert.equal(formatDuration(60_000), '1m')
  assert.equal(formatDuration(1500), '1500ms')
  assert.equal(formatDuration(0), '0')
  assert.equal(formatSize(8 * 1024 * 1024), '8MiB')
})
