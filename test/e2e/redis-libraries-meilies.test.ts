/**
 * The libraries of Redis against the MeiliES dialect: each connects as it does to Redis, publishes, asks, and is sent events.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type MeiliesServer, startMeilies } from '../helpers/meilies-server.js'
import { MessageInbox } from '../helpers/message-inbox.js'
import { REDIS_LIBRARIES } from '../helpers/redis-library.js'
import type { RedisUser } from '../helpers/redis-user.js'

const WITHIN = { timeout: 20_000 }

function payload(stream: string, number: number): object {
  return { stream, number, name: `e${number}`, data: String(number) }
}

for (const library of REDIS_LIBRARIES) {
  describe(library.title, () => {
    async function start(t: TestContext): Promise<{ server: MeiliesServer; user: RedisUser }> {
      const server = await startMeilies(t)
      const user = await library.connect(t, server.port)
      return { server, user }
    }

    test('publishes and asks', WITHIN, async (t) => {
      const { user } = await start(t)
      assert.equal(await user.publish('s', 'e0', 'zero'), 'OK')
      assert.equal(await user.publish('s', 'e1', Buffer.from([0, 13, 10, 255])), 'OK')
      assert.deepEqual(await user.call('last-event-number', 's'), ['last-event-number', 's', 1])
      assert.deepEqual(await user.call('last-event-number', 'unknown'), ['last-event-number', 'unknown', null])
      assert.deepEqual(await user.call('stream-names'), ['stream-names', 's'])
      await assert.rejects(user.publish('s:0', 'e', 'd'), /Invalid argument resp type/)
      assert.equal(await user.publish('s', 'e2', ''), 'OK')
      assert.deepEqual(user.complaints, [])
    })

    test('signs in, chooses a database and says its name', WITHIN, async (t) => {
      const server = await startMeilies(t)
      const signIn = { username: 'someone', password: 'secret', database: 3, name: 'a-client' }
      const user = await library.connect(t, server.port, signIn)
      assert.equal(await user.call('client', 'getname'), 'a-client')
      assert.equal(await user.call('ping'), 'PONG')
      const inbox = new MessageInbox()
      await user.subscribe('s', inbox.receive)
      assert.equal(await user.publish('s', 'e0', '0'), 'OK')
      assert.deepEqual(await inbox.take(1), [payload('s', 0)])
      assert.deepEqual(user.complaints, [])
    })

    test('is sent history and then what is published, with numbers and names', WITHIN, async (t) => {
      const { server, user } = await start(t)
      await server.fill('s', 500)
      const inbox = new MessageInbox()
      await user.subscribe('s:0', inbox.receive)
      const history = Array.from({ length: 500 }, (_, number) => payload('s', number))
      assert.deepEqual(await inbox.take(500), history)
      await user.publish('s', 'e500', '500')
      await user.publish('s', 'raw', Buffer.from([0, 13, 10, 255]))
      await user.publish('s', 'text', 'a "quoted"\r\nline, żółw')
      assert.deepEqual(await inbox.take(3), [
        payload('s', 500),
        { stream: 's', number: 501, name: 'raw', data_base64: 'AA0K/w==' },
        { stream: 's', number: 502, name: 'text', data: 'a "quoted"\r\nline, żółw' },
      ])
      assert.deepEqual(user.complaints, [])
    })

    test('outlives the end of a stream, and gets the events of the next one of its name', WITHIN, async (t) => {
      const { server, user } = await start(t)
      await server.fill('s', 1)
      const inbox = new MessageInbox()
      await user.subscribe('s:0', inbox.receive)
      assert.deepEqual(await inbox.take(1), [payload('s', 0)])
      await server.broker.deleteTopic('s')
      await server.fill('s', 2)
      assert.deepEqual(await inbox.take(2), [payload('s', 0), payload('s', 1)])
      await user.unsubscribe('s:0')
      assert.equal(await user.publish('s', 'e2', '2'), 'OK')
      assert.deepEqual([inbox.size, user.complaints], [0, []])
    })

    test('follows several streams, and all of them, until it has enough', WITHIN, async (t) => {
      const { server, user } = await start(t)
      await server.fill('a', 3)
      const [one, range, all] = [new MessageInbox(), new MessageInbox(), new MessageInbox()]
      await user.subscribe('a', one.receive)
      await user.subscribe('a:1:3', range.receive)
      await user.subscribe('$all:2', all.receive)
      assert.deepEqual(await range.take(2), [payload('a', 1), payload('a', 2)])
      await user.publish('a', 'e3', '3')
      assert.deepEqual(await one.take(1), [payload('a', 3)])
      assert.deepEqual(await all.take(2), [payload('a', 2), payload('a', 3)])
      await user.unsubscribe('a')
      await user.publish('a', 'e4', '4')
      assert.deepEqual(await all.take(1), [payload('a', 4)])
      assert.deepEqual([one.size, range.size, all.size], [0, 0, 0])
      assert.deepEqual(user.complaints, [])
    })
  })
}
