import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readCount, readOffset, readPort, readRetention, readServer, readStart } from '../../src/cli/values.js'

const REFUSED = { code: 'commander.invalidArgument' }

test('reads every way to say where a subscription begins', () => {
  const cases = [
    ['earliest', 'earliest'],
    ['latest', 'latest'],
    ['last', 'last'],
    ['0', { offset: 0 }],
    ['3264', { offset: 3264 }],
    ['10m', { ageMs: 600_000 }],
    ['2026-01-31T12:00:00Z', { timeMs: Date.UTC(2026, 0, 31, 12) }],
    ['2026-01-31T12:00:00.250+01:00', { timeMs: Date.UTC(2026, 0, 31, 11, 0, 0, 250) }],
    ['2026-01-31', { timeMs: Date.UTC(2026, 0, 31) }],
  ] as const
  for (const [text, start] of cases) assert.deepEqual(readStart(text), start)
})

test('refuses what is no place to begin', () => {
  for (const text of [
    '',
    'first',
    '-1',
    '1.5',
    '99999999999999999',
    'Jan 31 2026',
    '2026',
    '2026-13-01',
    '10 minutes',
    '1969-01-01',
  ]) {
    if (text === '2026') assert.deepEqual(readStart(text), { offset: 2026 })
    else assert.throws(() => readStart(text), REFUSED, text)
  }
})

test('reads numbers only as whole ones in their range', () => {
  assert.equal(readPort('8889'), 8889)
  assert.equal(readCount('1'), 1)
  assert.equal(readOffset('0'), 0)
  for (const text of ['0', '65536', 'x', '0x10', '1e3', '']) assert.throws(() => readPort(text), REFUSED, text)
  for (const text of ['0', '-1', '']) assert.throws(() => readCount(text), REFUSED, text)
})

test('reads a server as its host and its port', () => {
  assert.deepEqual(readServer('127.0.0.1:6480'), { host: '127.0.0.1', port: 6480 })
  assert.deepEqual(readServer('events.example.org:1'), { host: 'events.example.org', port: 1 })
  assert.deepEqual(readServer('[::1]:6480'), { host: '::1', port: 6480 })
  for (const text of ['', 'host', ':1', 'host:', 'host:0', 'host:65536', '::1:6480', 'a b:1', '[x]:1']) {
    assert.throws(() => readServer(text), REFUSED, text)
  }
})

test('reads what is to be kept', () => {
  assert.equal(readRetention('none'), 'none')
  assert.deepEqual(readRetention('forever'), { ageMs: null, bytes: null, records: null })
  assert.deepEqual(readRetention('1h'), { ageMs: 3_600_000, bytes: null, records: null })
  assert.throws(() => readRetention('long'), REFUSED)
})
