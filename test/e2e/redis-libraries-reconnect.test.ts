/**
 * The libraries of Redis when the server is killed and comes back: each connects again by itself, subscribes as it did first,
 * and finds its queue as it was.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pause } from '../helpers/kill-server.js'
import { MessageInbox } from '../helpers/message-inbox.js'
import { MortalRespServer } from '../helpers/mortal-resp-server.js'
import { REDIS_LIBRARIES } from '../helpers/redis-library.js'

const WITHIN = { timeout: 60_000 }
const RETRY_MS = 50

function payload(number: number): object {
  return { stream: 's', number, name: `e${number}`, data: String(number) }
}

/** As users of libraries do that fail what was under way when the connection went. */
async function untilAnswered(ask: () => Promise<unknown>): Promise<unknown> {
  for (;;) {
    try {
      return await ask()
    } catch {
      await pause(RETRY_MS)
    }
  }
}

test('subscribe again with what they were given first, so that history comes again', WITHIN, async (t) => {
  const server = await MortalRespServer.start(t)
  await server.fill('s', 0, 1)
  const followers = await Promise.all(
    REDIS_LIBRARIES.map(async (library) => {
      const user = await library.connect(t, server.meilies)
      const inbox = new MessageInbox()
      await user.subscribe('s:0', inbox.receive)
      return { title: library.title, user, inbox }
    }),
  )
  for (const { title, inbox } of followers) assert.deepEqual(await inbox.take(2), [payload(0), payload(1)], title)
  await server.kill()
  await server.startAgain()
  await server.fill('s', 2)
  for (const { title, user, inbox } of followers) {
    assert.deepEqual(await inbox.take(3), [payload(0), payload(1), payload(2)], title)
    const last = await untilAnswered(() => user.call('last-event-number', 's'))
    assert.deepEqual(last, ['last-event-number', 's', 2], title)
  }
  await server.fill('s', 3)
  for (const { title, inbox } of followers) {
    assert.deepEqual(await inbox.take(1), [payload(3)], title)
    assert.equal(inbox.size, 0, title)
  }
})

test('poll again when a long poll was cut off, and get what was pushed meanwhile', WITHIN, async (t) => {
  const server = await MortalRespServer.start(t)
  const consumers = await Promise.all(
    REDIS_LIBRARIES.map(async ({ title, connect }, index) => {
      const user = await connect(t, server.floki)
      const name = `queue_${index}`
      await user.queue.set(name, 'c')
      await user.queue.rpush(name, 'first')
      const [[, ticket]] = (await user.queue.hmget(name, 'c', '1')) as [[number, number, string]]
      assert.equal(await user.queue.hdel(name, 'c', String(ticket)), 1, title)
      return { title, user, name, polled: untilAnswered(() => user.queue.hmget(name, 'c', '1', '30')) }
    }),
  )
  await server.kill()
  await server.startAgain()
  const producer = await REDIS_LIBRARIES[0]?.connect(t, server.floki)
  for (const { name } of consumers) assert.equal(await producer?.queue.rpush(name, 'second'), 1)
  for (const { title, polled } of consumers) {
    const [[id, , body]] = (await polled) as [[number, number, string]]
    assert.deepEqual([id, body], [2, 'second'], title)
  }
})
