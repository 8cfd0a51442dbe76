/** What a subscription leaves behind when it ends, however little was done with it: no timer, no listener, no seat. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { connect, KEEP_FOREVER, type SubscribeOptions, type Subscription } from '../../client/index.js'
import { createBroker } from '../../src/index.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const WAYS: Readonly<Record<string, SubscribeOptions>> = {
  'a cursor': {},
  'a named cursor': { name: 'n' },
  'a member of a shared group': { group: 's' },
  'a member of a partitioned group': { group: 'p', mode: 'partitioned' },
}

/** Each leaves it to the end of its client, or ends it. */
const FATES: Readonly<Record<string, (records: Subscription, abort: AbortController) => Promise<unknown>>> = {
  'was never iterated': (records) => records.ready,
  'was closed before it was ready': (records) => records.close(),
  'was aborted before it was ready': async (records, abort) => {
    abort.abort()
    await assert.rejects(records.next(), { code: 'LVT_ABORTED' })
  },
  'waits for a record': (records) => {
    void records.next()
    return records.ready
  },
  'was aborted while it waits': async (records, abort) => {
    await records.ready
    const next = assert.rejects(records.next(), { code: 'LVT_ABORTED' })
    abort.abort()
    await next
  },
  'ran a handler until a signal': async (records) => {
    const stop = new AbortController()
    const running = records.run(() => {}, { signal: stop.signal })
    await records.ready
    stop.abort()
    await running
    assert.equal(getEventListeners(stop.signal, 'abort').length, 0)
  },
  'was told to run with a signal that had been given': (records) =>
    records.run(() => {}, { signal: AbortSignal.abort() }),
  'was disposed of': async (records) => await records[Symbol.asyncDispose](),
}

for (const [what, options] of Object.entries(WAYS)) {
  describe(`${what} leaves nothing behind`, () => {
    for (const [fate, meet] of Object.entries(FATES)) {
      test(`when it ${fate}`, async () => {
        await using broker = await createBroker()
        const clock = new VirtualClock()
        const client = await connect({ port: broker.port, clock })
        await client.createTopic('t', { retention: KEEP_FOREVER })
        const { timers } = clock
        const abort = new AbortController()
        const records = client.topic('t').subscribe({ ...options, signal: abort.signal })
        await meet(records, abort)
        if (records.isOver) {
          await records.close()
          // Whatever it had asked before is answered before this.
          assert.equal((await client.describe('t')).subscribers, 0)
          assert.equal(clock.timers, timers)
        }
        await client.close()
        assert.equal(clock.timers, 0)
        assert.equal(getEventListeners(abort.signal, 'abort').length, 0)
      })
    }
  })
}
