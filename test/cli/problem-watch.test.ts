import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Problem, ProblemWatch } from '../../src/cli/problem-watch.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const FULL: Problem = { kind: 'full', topic: 'orders', partition: 0, message: 'the disk is full' }
const TORN: Problem = { kind: 'torn', topic: 'orders', partition: 1, message: '12 bytes were cut' }
const FULL_LINE = 'full: topic "orders", partition 0: the disk is full'

/** A watch that was started, the problems that there are, and what was printed since it was last asked. */
function watching(...problems: Problem[]) {
  const clock = new VirtualClock()
  const lines: string[] = []
  const watch = new ProblemWatch(
    () => problems,
    (line) => lines.push(line),
  )
  watch.start(clock)
  return { clock, watch, problems, printed: () => lines.splice(0) }
}

test('tells at once what there is when it begins, and within a second what comes', () => {
  const { clock, problems, printed } = watching(TORN)
  assert.deepEqual(printed(), ['torn: topic "orders", partition 1: 12 bytes were cut'])
  problems.push(FULL)
  clock.advance(1000)
  assert.deepEqual(printed(), [FULL_LINE])
  clock.advance(60_000)
  assert.deepEqual(printed(), [], 'nothing is told twice')
})

test('tells what is over, and tells it anew when it comes again', () => {
  const { clock, problems, printed } = watching(FULL)
  printed()
  problems.length = 0
  clock.advance(10_000)
  assert.deepEqual(printed(), [`over: ${FULL_LINE}`])
  problems.push({ ...FULL })
  clock.advance(1000)
  assert.deepEqual(printed(), [FULL_LINE])
})

test('takes a problem that comes and goes for one', () => {
  const { clock, problems, printed } = watching(FULL)
  printed()
  for (let round = 0; round < 20; round++) {
    problems.length = 0
    clock.advance(2000)
    problems.push(FULL)
    clock.advance(1000)
  }
  assert.deepEqual(printed(), [])
})

test('prints a bounded number of lines, and counts the rest', () => {
  const { clock, problems, printed } = watching()
  for (let partition = 0; partition < 1000; partition++) problems.push({ ...FULL, partition })
  clock.advance(1000)
  const begun = printed()
  assert.deepEqual([begun.length, begun.at(-1)], [21, 'and 980 more of the like'])
  problems.length = 0
  clock.advance(10_000)
  const over = printed()
  assert.deepEqual([over.length, over.at(-1)], [21, 'and 980 more are over'])
})

test('names the data directory where no topic is concerned, and lets no name break its line', () => {
  const { printed } = watching({ ...FULL, topic: '' }, { ...FULL, topic: 'a\nb' })
  assert.deepEqual(printed(), [
    'full: the data directory: the disk is full',
    'full: topic "a\\nb", partition 0: the disk is full',
  ])
})

test('looks once more when it stops, and never again', () => {
  const { clock, watch, problems, printed } = watching()
  problems.push(FULL)
  watch.stop()
  assert.deepEqual([printed(), clock.timers], [[FULL_LINE], 0])
})
