/**
 * redis-cli against the Floki dialect: the session of Floki's README, as its users type it.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { startFloki } from '../helpers/floki-server.js'
import { RedisCli, redisCliReleases } from '../helpers/redis-cli.js'
import { requestOf } from '../helpers/resp-values.js'

for (const release of redisCliReleases()) {
  const options = { skip: release.skip, timeout: 30_000 }

  describe(release.title, () => {
    async function start(t: TestContext): Promise<RedisCli> {
      const server = await startFloki(t)
      return new RedisCli(release.file, server.port)
    }

    test('types the session of the README', options, async (t) => {
      const cli = await start(t)
      const say = (words: string) => cli.run(words.split(' '))
      assert.equal(await say('SET my_queue channel_1'), 'OK\n')
      assert.match(await say('SET my_queue channel_1'), /QAE Queue Already Exists/)
      assert.equal(await say('SETNX my_queue channel_2'), 'OK\n')
      assert.equal(await say('RPUSH my_queue hello world'), '2\n')
      const printed = await say('HMGET my_queue channel_1 2')
      const [, first = '', second = ''] = /^1\n(\d+)\nhello\n2\n(\d+)\nworld\n$/.exec(printed) ?? []
      assert.notEqual(first, '', printed)
      assert.equal(await say(`HDEL my_queue channel_1 ${first} ${second}`), '2\n')
      assert.equal(await say('HMGET my_queue channel_1 2'), '\n')
      assert.equal(await say('HMGET my_queue channel_1 2 1'), '\n')
      assert.equal(await say('HMSET my_queue channel_1 ID 2'), '2\n')
      assert.match(await say('HMGET my_queue channel_1 2'), /^2\n\d+\nworld\n$/)
      assert.equal(await say('SREM my_queue channel_2'), '1\n')
      assert.equal(await say('SREM my_queue *'), '1\n')
      assert.match(await say('INFO queues'), /^\{"my_queue":\{"head":3,"tail":3,"channels":\{"channel_1":/)
      assert.match(await say('CONFIG GET queues.my'), /"message_timeout":30/)
      assert.equal(await say('CONFIG SET queues.my_queue.message_timeout 10s'), 'OK\n')
      assert.equal(await say('DEL my_queue channel_2'), '1\n')
      assert.equal(await say('DEL my_queue'), '1\n')
      assert.match(await say('RPUSH my_queue x'), /QNF Queue Not Found/)
    })

    const resp3Skip =
      release.skip || (release.version < 6.02 ? 'this version does not speak version 3 of the protocol' : false)
    test('types it in version 3 of the protocol', { ...options, skip: resp3Skip }, async (t) => {
      const cli = await start(t)
      const typed = 'set q c\nrpush q "a b" ""\nhmget q none 1\nhmget q c 1 \nhmget q c 0\nping\n'
      const printed = await cli.run(['-3'], typed)
      assert.match(printed, /OK\n2\n.*CNF Channel Not Found\n\n?1\n\d+\na b\n\nPONG\n/)
    })

    test('pushes in bulk', options, async (t) => {
      const cli = await start(t)
      assert.equal(await cli.run(['SET', 'q', 'c']), 'OK\n')
      const requests = Array.from({ length: 5000 }, (_, number) => requestOf('RPUSH', 'q', `${number}`))
      assert.match(await cli.run(['--pipe'], Buffer.concat(requests)), /errors: 0, replies: 5000/)
      assert.match(await cli.run(['INFO', 'queues']), /"head":5001/)
    })
  })
}
