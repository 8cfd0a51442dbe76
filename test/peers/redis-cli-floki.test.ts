/**
 * redis-cli against the Floki dialect: the session of Floki's README, as its users type it.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { startFloki } from '../helpers/floki-server.js'
import { RedisCli, redisCliReleases } from '../helpers/redis-cli.js'
import { requestOf } from '../helpers/resp-values.js'

/** What a person types, and what redis-cli shows for it: what no two sessions have in common is written as a name. */
const SESSION: readonly (readonly [typed: string, ...shown: string[]])[] = [
  ['SETNX my_queue channel_1', 'OK'],
  ['DEL my_queue *', '(integer) 0'],
  ['RPUSH my_queue hello "a world"', '(integer) 2'],
  [
    'HMGET my_queue channel_1 2',
    '1) 1) (integer) 1',
    '   2) (integer) TICKET',
    '   3) "hello"',
    '2) 1) (integer) 2',
    '   2) (integer) TICKET',
    '   3) "a world"',
  ],
  ['HMGET my_queue channel_1 2', 'EMPTY'],
  ['HMGET my_queue channel_1 2 1', '(nil)', '(SECONDS)'],
  ['HDEL my_queue channel_1 4503599627370497', '(integer) 0'],
  ['HMSET my_queue channel_1 ID 2', '(integer) 2'],
  ['HMGET my_queue channel_1 9', '1) 1) (integer) 2', '   2) (integer) TICKET', '   3) "a world"'],
  ['HMSET my_queue channel_1 TS 0', '(integer) 2'],
  ['SREM my_queue channel_1', '(integer) 1'],
  ['HMGET my_queue channel_1 9', 'EMPTY'],
  ['SET my_queue channel_1', '(error) QAE Queue Already Exists'],
  ['SET my_queue channel_2', '(error) QAE Queue Already Exists'],
  ['SET my_queue channel_2 NX', 'OK'],
  ['CONFIG SET server.message_timeout 10s', 'OK'],
  ['CONFIG SET queues.my_queue.message_timeout 1m', 'OK'],
  ['CONFIG SET queues.my_queue.message_timeout 1h30m', '(error) IPA Invalid Duration Value'],
  ['CONFIG SET queues.nope.message_timeout 10s', '(error) QNF Queue Not Found'],
  [
    'CONFIG GET queues.my',
    '1) "{\\"my_queue\\":{\\"name\\":\\"my_queue\\",\\"data_directory\\":\\"PATH\\",\\"segment_size\\":134217728,' +
      '\\"message_timeout\\":60,\\"retention_period\\":0,\\"hard_retention_period\\":86400,\\"retention_size\\":0,' +
      '\\"hard_retention_size\\":0,\\"segment_period\\":3600,\\"durability\\":\\"async\\"}}"',
  ],
  ['INFO queues.none', '{}1) "{}"'],
  ['CONFIG GET queues.none'],
  // What INFO answers is shown as it is, whatever it is.
  ['INFO memory', 'IPA Invalid INFO parameter'],
  ['HMGET nope channel_1 1', '(error) QNF Queue Not Found'],
  ['HMGET my_queue nope 1', '(error) CNF Channel Not Found'],
  ['HGET my_queue channel_1', '(error) UCOM Unknown Command'],
  ['DEL my_queue channel_2', '(integer) 1'],
  ['SREM my_queue *', '(integer) 1'],
  ['DEL my_queue', '(integer) 1'],
]

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

    for (const [how, flags] of [
      ['as people see it', ['--no-raw']],
      ['as people see it in version 3 of the protocol', ['--no-raw', '-3']],
    ] as const) {
      const skip = flags.length > 1 ? resp3Skip : release.skip
      test(`shows a session ${how}, byte for byte`, { ...options, skip }, async (t) => {
        const cli = await start(t)
        const shown = await cli.run(flags, SESSION.map(([typed]) => `${typed}\n`).join(''))
        const expected = SESSION.flatMap(([, ...lines]) => lines).map((line) =>
          // Before version 6 an empty array had another name.
          line === 'EMPTY' ? (release.version < 6 ? '(empty list or set)' : '(empty array)') : line,
        )
        const plain = shown
          .replace(/(?<=^ {3}2\) \(integer\) )\d+$/gm, 'TICKET')
          .replace(/^\(1\.\d\ds\)$/gm, '(SECONDS)')
          .replace(/(?<=data_directory\\":\\")[^"]*(?=\\")/g, 'PATH')
        assert.equal(plain, `${expected.join('\n')}\n`)
      })
    }

    test('shows a session to programs, one value a line', options, async (t) => {
      const cli = await start(t)
      const typed = [
        'SET q c',
        'RPUSH q hello world',
        'HMGET q c 2',
        'HMGET q c 2',
        'HDEL q c 1',
        'SREM q c',
        'QINFO queues.x',
      ]
      const shown = await cli.run([], typed.map((line) => `${line}\n`).join(''))
      assert.equal(shown.replace(/^\d{3,}$/gm, 'TICKET'), 'OK\n2\n1\nTICKET\nhello\n2\nTICKET\nworld\n\n0\n1\n{}\n')
    })
  })
}
