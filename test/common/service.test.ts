import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Service, startAll, stopAll, together } from '../../src/common/service.js'

function part(name: string, log: string[], fails: 'start' | 'stop' | 'never' = 'never'): Service {
  return {
    async start() {
      await Promise.resolve()
      log.push(`start ${name}`)
      if (fails === 'start') throw new Error(`${name} does not start`)
    },
    async stop({ deadlineMs }) {
      await Promise.resolve()
      log.push(`stop ${name} ${deadlineMs}`)
      if (fails === 'stop') throw new Error(`${name} does not stop`)
    },
  }
}

test('starts in order and stops in reverse', async () => {
  const log: string[] = []
  const parts = [part('a', log), part('b', log)]
  await startAll(parts)
  await stopAll(parts, { deadlineMs: 5 })
  assert.deepEqual(log, ['start a', 'start b', 'stop b 5', 'stop a 5'])
})

test('a failed start stops what was started, and is what is told, even if the undoing fails too', async () => {
  const log: string[] = []
  const parts = [part('a', log), part('b', log, 'stop'), part('c', log, 'start'), part('d', log)]
  await assert.rejects(startAll(parts), /c does not start/)
  assert.deepEqual(log, ['start a', 'start b', 'start c', 'stop b 0', 'stop a 0'])
})

test('every part is stopped, whatever fails, and the failures are told', async () => {
  const log: string[] = []
  await assert.rejects(stopAll([part('a', log), part('b', log, 'stop')], { deadlineMs: 1 }), /b does not stop/)
  assert.deepEqual(log, ['stop b 1', 'stop a 1'])
  const failing = stopAll([part('a', log, 'stop'), part('b', log, 'stop')], { deadlineMs: 1 })
  await assert.rejects(failing, (error: unknown) => error instanceof AggregateError && error.errors.length === 2)
})

test('parts of one rank stop at the same time, all of them, and their failures are told', async () => {
  const log: string[] = []
  let free: () => void = () => undefined
  const slow: Service = {
    start: () => Promise.resolve(),
    stop: () =>
      new Promise<void>((resolve) => {
        free = () => {
          log.push('stop slow')
          resolve()
        }
      }),
  }
  const rank = together([part('a', log, 'stop'), slow, part('b', log)])
  await rank.start()
  const stopped = rank.stop({ deadlineMs: 7 })
  await Promise.resolve()
  await Promise.resolve()
  free()
  await assert.rejects(stopped, /a does not stop/)
  assert.deepEqual(log, ['start a', 'start b', 'stop a 7', 'stop b 7', 'stop slow'])
})
