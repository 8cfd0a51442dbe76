import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import {
  asLeveretError,
  ERROR_CATALOG,
  errorFromWire,
  isErrorCode,
  LeveretError,
  TopicNotFoundError,
} from '../../src/common/errors.js'

const CODES = Object.keys(ERROR_CATALOG).filter(isErrorCode)

test('every code is listed once, in one form, with a meaning of its own', () => {
  const source = readFileSync(new URL('../../src/common/errors.ts', import.meta.url), 'utf8')
  const listed = [...source.matchAll(/^ {2}(LVT_\w+): (?:answer|close|stop)\(/gm)].map(([, code]) => code)
  assert.deepEqual(listed, CODES)
  assert.equal(new Set(listed).size, listed.length)
  for (const code of CODES) assert.match(code, /^LVT_[A-Z]+(_[A-Z]+)*$/)
  const meanings = CODES.map((code) => ERROR_CATALOG[code].meaning)
  assert.equal(new Set(meanings).size, meanings.length)
})

test('no code has gone: peers and stored logs know them', () => {
  const first = ['LVT_PROTOCOL', 'LVT_UNSUPPORTED', 'LVT_TOPIC_CONFLICT', 'LVT_WRONG_OFFSET', 'LVT_INVARIANT'] as const
  for (const code of first) assert.ok(isErrorCode(code))
  assert.ok(!isErrorCode('LVT_NO_SUCH_CODE'))
  assert.ok(!isErrorCode('toString'))
})

test('an error that crosses the wire keeps its code, message, topic and whether to retry', () => {
  for (const code of CODES) {
    for (const retryable of [true, false]) {
      const error = errorFromWire(code, 'what happened', { topic: 'orders', retryable })
      assert.equal(error.code, code)
      assert.equal(error.topic, 'orders')
      assert.equal(error.fate, ERROR_CATALOG[code].fate)
      assert.ok(error instanceof LeveretError && error instanceof Error)
      if (code === 'LVT_TOPIC_NOT_FOUND') continue
      assert.equal(error.message, 'what happened')
      assert.equal(error.retryable, retryable)
    }
    assert.equal(errorFromWire(code, 'x').retryable, ERROR_CATALOG[code].retryable)
  }
  assert.ok(errorFromWire('LVT_TOPIC_NOT_FOUND', 'x', { topic: 'orders' }) instanceof TopicNotFoundError)
})

test('a code of a newer server is named, and is no code that this one knows', () => {
  const error = errorFromWire('LVT_FROM_THE_FUTURE', 'hm', { retryable: true })
  assert.equal(error.code, 'LVT_INTERNAL')
  assert.equal(error.message, 'LVT_FROM_THE_FUTURE: hm')
  assert.equal(error.retryable, true)
})

test('whatever was thrown becomes an error with its cause, and one of ours stays itself', () => {
  const own = new LeveretError('LVT_CLOSED', 'closed')
  assert.equal(asLeveretError(own), own)
  const foreign = new TypeError('x is not a function')
  assert.equal(asLeveretError(foreign).cause, foreign)
  assert.equal(asLeveretError(foreign).code, 'LVT_INTERNAL')
  assert.equal(asLeveretError('text').message, 'text')
})
