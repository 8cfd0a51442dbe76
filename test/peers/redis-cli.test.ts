/**
 * redis-cli against the MeiliES dialect: the sessions that its users type, in each of the frames that a version understands.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { startMeilies } from '../helpers/meilies-server.js'
import { RedisCli, redisCliReleases } from '../helpers/redis-cli.js'
import { requestOf } from '../helpers/resp-values.js'

const STREAM = 'my-little-stream'
const NAME = 'my-event-name'

/** The README's ways to subscribe, each with the events of six that it brings at once, and whether it brings a seventh. */
const SUBSCRIPTIONS: readonly (readonly [string, readonly number[], boolean])[] = [
  [STREAM, [], true],
  [`${STREAM}:0`, [0, 1, 2, 3, 4, 5], true],
  [`${STREAM}:5`, [5], true],
  [`${STREAM}:3:5`, [3, 4], false],
  ['$all:0', [0, 1, 2, 3, 4, 5], true],
]

function confirmationOf(spec: string, isClassic: boolean): string[] {
  return isClassic ? ['subscribed', STREAM] : ['subscribe', spec, '1']
}

function eventLines(number: number): string[] {
  return ['event', STREAM, `${number}`, NAME, `Hello ${number}!`]
}

function messageLines(spec: string, number: number): string[] {
  const payload = JSON.stringify({ stream: STREAM, number, name: NAME, data: `Hello ${number}!` })
  return ['message', spec, payload]
}

for (const release of redisCliReleases()) {
  const within = { skip: release.skip, timeout: 30_000 }

  describe(release.title, () => {
    async function start(t: TestContext) {
      const server = await startMeilies(t)
      return { server, cli: new RedisCli(release.file, server.port) }
    }

    test('types the session of the README', within, async (t) => {
      const { cli } = await start(t)
      assert.equal(await cli.run(['publish', 'my-little-stream', 'my-event-name', 'Hello World!']), 'OK\n')
      assert.equal(await cli.run(['last-event-number', 'my-little-stream']), 'last-event-number\nmy-little-stream\n0\n')
      assert.equal(await cli.run(['last-event-number', 'none']), 'last-event-number\nnone\n\n')
      assert.equal(await cli.run(['stream-names']), 'stream-names\nmy-little-stream\n')
      assert.match(await cli.run(['publish', 'a:b', 'e', 'd']), /invalid request message; Invalid argument resp type/)
    })

    const classicSkip =
      release.skip || (release.version >= 7.02 ? 'this version leaves its loop at a confirmation of MeiliES' : false)
    test('follows a stream in the frames of MeiliES', { ...within, skip: classicSkip }, async (t) => {
      const { server, cli } = await start(t)
      await server.fill('s', 1)
      const follower = cli.follow(t, ['subscribe', 's:0'])
      const history = ['subscribed', 's', 'event', 's', '0', 'e0', '0']
      assert.deepEqual(await follower.lines(7), history)
      await server.fill('s', 1, 1)
      assert.deepEqual(await follower.lines(12), [...history, 'event', 's', '1', 'e1', '1'])
    })

    const pushSkip =
      release.skip || (release.version < 6.02 ? 'this version does not speak version 3 of the protocol' : false)
    test('follows a stream in pushes', { ...within, skip: pushSkip }, async (t) => {
      const { server, cli } = await start(t)
      await server.fill('s', 1)
      const follower = cli.follow(t, ['-3', 'subscribe', 's:0'])
      const history = ['subscribe', 's:0', '1', 'event', 's', '0', 'e0', '0']
      assert.deepEqual(await follower.lines(8), history)
      await server.fill('s', 1, 1)
      assert.deepEqual(await follower.lines(13), [...history, 'event', 's', '1', 'e1', '1'])
    })

    test('follows streams in messages of Redis', within, async (t) => {
      const { server, cli } = await start(t)
      await server.fill('s', 1)
      const follower = cli.follow(t, ['SUBSCRIBE', 's:0', 't'])
      const payload = (stream: string, number: number) =>
        `{"stream":"${stream}","number":${number},"name":"e${number}","data":"${number}"}`
      const history = ['subscribe', 's:0', '1', 'subscribe', 't', '2', 'message', 's:0', payload('s', 0)]
      assert.deepEqual(await follower.lines(9), history)
      await server.fill('t', 1)
      assert.deepEqual(await follower.lines(12), [...history, 'message', 't', payload('t', 0)])
    })

    /** What each kind of frames needs, how it is asked for, and what it looks like. */
    const FORMS = [
      { form: 'frames of MeiliES', skip: classicSkip, options: [], verb: 'subscribe', isClassic: true },
      { form: 'pushes', skip: pushSkip, options: ['-3'], verb: 'subscribe', isClassic: false },
      { form: 'messages', skip: release.skip, options: [], verb: 'SUBSCRIBE', isClassic: false },
    ] as const

    for (const { form, skip, options, verb, isClassic } of FORMS) {
      for (const isTyped of [false, true]) {
        test(`shows the README's subscriptions in ${form}, ${isTyped ? 'typed at the prompt' : 'as one command'}`, {
          ...within,
          skip,
        }, async (t) => {
          const linesOf = (spec: string, number: number): string[] =>
            verb === 'SUBSCRIBE' ? messageLines(spec, number) : eventLines(number)
          for (const [spec, history, isLive] of SUBSCRIPTIONS) {
            const { cli } = await start(t)
            for (let number = 0; number < 6; number++) {
              assert.equal(await cli.run(['publish', STREAM, NAME, `Hello ${number}!`]), 'OK\n')
            }
            const follower = isTyped
              ? cli.follow(t, options, `last-event-number ${STREAM}\n${verb} ${spec}\n`)
              : cli.follow(t, [...options, verb, spec])
            const answer = isTyped ? ['last-event-number', STREAM, '5'] : []
            const old = history.flatMap((number) => linesOf(spec, number))
            const before = [...answer, ...confirmationOf(spec, isClassic), ...old]
            assert.deepEqual(await follower.lines(before.length), before, spec)
            await cli.run(['publish', STREAM, NAME, 'Hello 6!'])
            const after = isLive ? [...before, ...linesOf(spec, 6)] : before
            assert.deepEqual(await follower.lines(after.length), after, spec)
          }
        })
      }
    }

    test('takes commands one after the other from a prompt', within, async (t) => {
      const { cli } = await start(t)
      const typed = 'publish s e "a \\"b\\" \\x00"\nlast-event-number s\nnonsense\nping\n'
      const expected = 'OK\nlast-event-number\ns\n0\nERR? invalid request message; Unknown command name\n\nPONG\n'
      const printed = await cli.run([], typed)
      assert.equal(printed.replace(/^(?:\(error\) )?(?=invalid request)/m, 'ERR? '), expected)
    })

    test('signs in, selects a database and switches versions', { ...within, skip: pushSkip }, async (t) => {
      const { cli } = await start(t)
      const printed = await cli.run(['--no-auth-warning', '--user', 'u', '--pass', 'p', '-n', '1', '-3', 'ping'])
      assert.equal(printed, 'PONG\n')
    })

    test('publishes in bulk', within, async (t) => {
      const { cli } = await start(t)
      const requests = Array.from({ length: 5000 }, (_, number) => requestOf('publish', 's', 'e', `${number}`))
      const printed = await cli.run(['--pipe'], Buffer.concat(requests))
      assert.match(printed, /errors: 0, replies: 5000/)
      assert.equal(await cli.run(['last-event-number', 's']), 'last-event-number\ns\n4999\n')
    })
  })
}
