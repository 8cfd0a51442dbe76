import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OneByOne } from '../../../src/gateways/resp/floki/one-by-one.js'

/** Something to do that is over when the test says so. */
function task(log: string[], name: string): { act(): Promise<string>; finish(): void; fail(): void } {
  let settle: { resolve(value: string): void; reject(error: Error): void } | null = null
  return {
    act: () => {
      log.push(`${name} begins`)
      return new Promise((resolve, reject) => {
        settle = { resolve, reject }
      })
    },
    finish: () => settle?.resolve(name),
    fail: () => settle?.reject(new Error(name)),
  }
}

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('does one thing at a time under a name, in the order in which it was asked, and others meanwhile', async () => {
  const log: string[] = []
  const order = new OneByOne()
  const [a, b, c, other] = [task(log, 'a'), task(log, 'b'), task(log, 'c'), task(log, 'other')]
  const first = order.run('q', a.act)
  const second = order.run('q', b.act)
  const third = order.run('q', c.act)
  const beside = order.run('p', other.act)
  await soon()
  assert.deepEqual(log, ['a begins', 'other begins'])
  assert.equal(order.busy, 2)
  other.finish()
  assert.equal(await beside, 'other')
  a.finish()
  assert.equal(await first, 'a')
  await soon()
  assert.deepEqual(log.slice(2), ['b begins'])
  // Who comes last waits for the last, not for the first.
  const late = order.run('q', async () => log.push('late'))
  b.fail()
  await assert.rejects(second, /b/)
  await soon()
  assert.deepEqual(log.slice(2), ['b begins', 'c begins'])
  c.finish()
  assert.equal(await third, 'c')
  await late
  assert.deepEqual(log.slice(4), ['late'])
  assert.equal(order.busy, 0)
})
