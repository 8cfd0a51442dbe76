/**
 * The libraries of Redis against the Floki dialect: the methods that they have for commands of Redis, on queues.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { startFloki } from '../helpers/floki-server.js'
import { REDIS_LIBRARIES } from '../helpers/redis-library.js'
import type { RedisUser } from '../helpers/redis-user.js'

const WITHIN = { timeout: 20_000 }

/** What hmget brings. Tickets are numbers that no library rounds. */
type Taken = readonly (readonly [id: number, ticket: number, body: string])[]

interface QueueFacts {
  readonly head: number
  readonly message_timeout?: number
}

// Long polls wait side by side.
describe('on the Floki dialect', { concurrency: REDIS_LIBRARIES.length }, () => {
  for (const library of REDIS_LIBRARIES) {
    describe(library.title, { concurrency: 4 }, () => {
      async function start(t: TestContext): Promise<RedisUser> {
        const { port } = await startFloki(t)
        return library.connect(t, port)
      }

      test('works through a queue with the methods of the library', WITHIN, async (t) => {
        const { queue, complaints } = await start(t)
        assert.equal(await queue.set('q', 'c'), 'OK')
        await assert.rejects(queue.set('q', 'c'), /QAE Queue Already Exists/)
        // Version 4 takes any answer but 1 for "no".
        assert.equal(await queue.setnx('q', 'd'), library.title === 'node-redis 4' ? false : 'OK')
        assert.equal(await queue.rpush('q', 'one', 'two', Buffer.from('three')), 3)
        const taken = (await queue.hmget('q', 'c', '2')) as Taken
        assert.deepEqual(
          taken.map(([id, , body]) => [id, body]),
          [
            [1, 'one'],
            [2, 'two'],
          ],
        )
        const tickets = taken.map(([, ticket]) => String(ticket))
        assert.equal(await queue.hdel('q', 'c', ...tickets, '7'), 2)
        assert.equal(await queue.hdel('q', 'c', ...tickets), 0)
        assert.deepEqual(((await queue.hmget('q', 'c', '9', '5')) as Taken)[0]?.[2], 'three')
        assert.deepEqual(await queue.hmget('q', 'c', '9'), [])
        assert.equal(await queue.srem('q', 'd'), 1)
        assert.deepEqual(await queue.hmget('q', 'd', '9'), [])
        assert.equal(await queue.del('q'), 1)
        assert.equal(await queue.del('q'), 0)
        await assert.rejects(queue.rpush('q', 'x'), /QNF Queue Not Found/)
        assert.deepEqual(complaints, [])
      })

      test('is told nothing when a long poll ends without a message', WITHIN, async (t) => {
        const { queue } = await start(t)
        await queue.set('q', 'c')
        assert.equal(await queue.hmget('q', 'c', '1', '1'), null)
      })

      test('is answered by a long poll when somebody pushes', WITHIN, async (t) => {
        const { port } = await startFloki(t)
        const [consumer, producer] = [await library.connect(t, port), await library.connect(t, port)]
        await consumer.queue.set('q', 'c')
        const polled = consumer.queue.hmget('q', 'c', '1', '10')
        await producer.queue.rpush('q', 'body')
        assert.deepEqual(((await polled) as Taken)[0]?.[2], 'body')
      })

      test('reads what the server tells of its queues', WITHIN, async (t) => {
        const { queue, call } = await start(t)
        await queue.set('q', 'c')
        await queue.rpush('q', 'x')
        const factsOf = (text: unknown) => (JSON.parse(String(text)) as { q: QueueFacts }).q
        assert.equal(factsOf(await call('QINFO', 'queues')).head, 2)
        assert.equal(factsOf(await call('QCONFIG', 'queues')).message_timeout, 30)
        const [info] = (await queue.info('queues')) as readonly string[]
        assert.equal(factsOf(info).head, 2)
        // Some of node-redis make pairs of it: a name without a value.
        const pairs = await queue.configGet('queues')
        if (Array.isArray(pairs)) assert.equal(factsOf(pairs[0]).message_timeout, 30)
        else assert.equal(JSON.stringify(pairs), '{}')
        const [config] = (await call('CONFIG', 'GET', 'queues')) as readonly string[]
        assert.equal(factsOf(config).message_timeout, 30)
      })

      test('sends many requests together', WITHIN, async (t) => {
        const { queue, complaints } = await start(t)
        await queue.set('q', 'c')
        const pushes = Array.from({ length: 200 }, (_, number) => ['rpush', 'q', `m${number}`])
        const replies = await queue.pipeline([...pushes, ['hmget', 'q', 'c', '200']])
        const taken = replies.pop() as Taken
        assert.deepEqual(replies, Array(200).fill(1))
        assert.deepEqual(
          taken.map(([id, , body]) => [id, body]),
          pushes.map(([, , body], index) => [index + 1, body]),
        )
        assert.deepEqual(complaints, [])
      })

      test('signs in, chooses a database and says its name', WITHIN, async (t) => {
        const { port } = await startFloki(t)
        const signIn = { username: 'someone', password: 'secret', database: 3, name: 'a-client' }
        const { queue, call, complaints } = await library.connect(t, port, signIn)
        assert.equal(await call('client', 'getname'), 'a-client')
        assert.equal(await queue.set('q', 'c'), 'OK')
        assert.deepEqual(complaints, [])
      })
    })
  }
})
