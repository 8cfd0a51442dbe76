import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { Progress, perSecond } from '../../src/cli/progress.js'
import type { Terminal } from '../../src/cli/terminal.js'
import type { Clock } from '../../src/common/clock.js'

/** A terminal whose time moves when a test says so. */
function terminalOf(isTTY: boolean, stdinBytes: number | null) {
  let nowMs = 0
  const idle = { cancel: () => undefined }
  const clock: Clock = { now: () => nowMs, monotonic: () => nowMs, after: () => idle, every: () => idle }
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 80 })
  const stream = new PassThrough()
  const interrupted = new AbortController().signal
  const terminal: Terminal = {
    stdin: stream,
    stdinBytes,
    stdout: stream,
    stderr,
    env: {},
    clock,
    interrupted,
    onSignals: () => () => undefined,
  }
  return { terminal, pass: (ms: number) => (nowMs += ms), shown: () => String(stderr.read() ?? '') }
}

test('draws a bar on a terminal once the work is long, and erases it', () => {
  const { terminal, pass, shown } = terminalOf(true, 1000)
  const progress = new Progress(terminal)
  progress.update(1, 10)
  assert.equal(shown(), '')
  pass(1000)
  progress.update(50, 500)
  assert.match(shown(), /\[#{12}\.{12}\] 50% 50 records, 500B, 50 records\/s$/)
  pass(50)
  progress.update(60, 600)
  assert.equal(shown(), '', 'not redrawn so soon')
  progress.clear()
  assert.equal(shown(), '\r\x1b[K')
  progress.clear()
  assert.equal(shown(), '')
})

test('counts without a bar when the end is not known', () => {
  const { terminal, pass, shown } = terminalOf(true, null)
  const progress = new Progress(terminal)
  pass(2000)
  progress.update(10_000, 3 * 1024 * 1024)
  assert.match(shown(), /K10000 records, 3\.0MiB, 5000 records\/s$/)
})

test('draws nothing into a pipe', () => {
  const { terminal, pass, shown } = terminalOf(false, 1000)
  const progress = new Progress(terminal)
  pass(10_000)
  progress.update(10, 10)
  progress.clear()
  assert.equal(shown(), '')
})

test('gives a rate even when no time has passed', () => {
  assert.equal(perSecond(5, 0), 5000)
})
