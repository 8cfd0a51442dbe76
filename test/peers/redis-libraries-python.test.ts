/**
 * redis-py, of today and of the last versions 3 and 2, against both dialects (redis_client.py is its user).
 */
import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startFloki } from '../helpers/floki-server.js'
import { startMeilies } from '../helpers/meilies-server.js'
import { MortalRespServer } from '../helpers/mortal-resp-server.js'
import { findPeer, skipUnless } from '../helpers/peer.js'
import { keepFolder, pipInstall } from '../helpers/pip-package.js'

const PYTHON = findPeer('python3')
const SCRIPT = fileURLToPath(new URL('./redis_client.py', import.meta.url))
const WITHIN = { timeout: 30_000 }

interface Client {
  readonly title: string
  readonly version: string
  /** 0 where the library has no choice. */
  readonly protocol: 0 | 2 | 3
}

const CLIENTS: readonly Client[] = [
  { title: 'redis-py 8', version: '8.1.0', protocol: 0 },
  { title: 'redis-py 8 with RESP2', version: '8.1.0', protocol: 2 },
  { title: 'redis-py 8 with RESP3', version: '8.1.0', protocol: 3 },
  { title: 'redis-py 3', version: '3.5.3', protocol: 0 },
  { title: 'redis-py 2', version: '2.10.6', protocol: 0 },
]

/** Where the package is: outside of the tree, and kept for the next run. */
function folderOf(version: string): string {
  return join(tmpdir(), `leveret-redis-py-${version}`)
}

function install(python: string, version: string): void {
  keepFolder(folderOf(version), (fresh) => pipInstall(python, ['--target', fresh, `redis==${version}`]))
}

/** One run of the script. */
class Script {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>

  constructor(t: TestContext, { version, protocol }: Client, words: readonly [string, number, string]) {
    const [dialect, port, what] = words
    const env = { ...process.env, PYTHONPATH: folderOf(version) }
    const python = PYTHON.found ? PYTHON.file : ''
    this.#child = spawn(python, [SCRIPT, dialect, String(port), String(protocol), what], { env })
    this.#child.stderr.pipe(process.stderr)
    t.after(() => this.#child.kill('SIGKILL'))
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  /** What it tells next. Undefined when it has ended. */
  async next(): Promise<unknown> {
    const { done, value } = await this.#lines.next()
    return done === true ? undefined : (JSON.parse(value) as unknown)
  }

  async rest(): Promise<unknown[]> {
    const told: unknown[] = []
    for (let one = await this.next(); one !== undefined; one = await this.next()) told.push(one)
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
    assert.equal(this.#child.exitCode, 0, `it told ${JSON.stringify(told)}`)
    return told
  }

  tell(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Ask for the next message or confirmation. */
  step(): Promise<unknown> {
    this.tell('next')
    return this.next()
  }
}

function message(number: number): [string, string, string] {
  return ['message', 's:0', `{"stream":"s","number":${number},"name":"e${number}","data":"${number}"}`]
}

// Interpreters take their time to start, and long polls wait.
for (const client of CLIENTS) {
  const skip = PYTHON.found ? skipUnless(client.title, () => install(PYTHON.file, client.version)) : PYTHON.skip
  const options = { ...WITHIN, skip }

  describe(client.title, { concurrency: 3 }, () => {
    test('publishes and asks on the MeiliES dialect', options, async (t) => {
      const { port } = await startMeilies(t)
      const told = await new Script(t, client, ['meilies', port, 'ask']).rest()
      const [error, arity] = told.splice(5, 2)
      assert.match(String(error), /Invalid argument resp type/)
      assert.match(String(arity), /Missing argument/, 'its own publish takes two arguments')
      const nothing = ['last-event-number', 'unknown', null]
      assert.deepEqual(told, ['OK', 'OK', ['last-event-number', 's', 1], nothing, ['stream-names', 's'], 'OK'])
    })

    test('works through a queue on the Floki dialect', options, async (t) => {
      const { port } = await startFloki(t)
      const told = await new Script(t, client, ['floki', port, 'ask']).rest()
      assert.match(String(told.splice(1, 1)), /Queue Already Exists/)
      assert.match(String(told.pop()), /Queue Not Found/)
      const taken = [
        [1, 'one'],
        [2, 'two'],
      ]
      assert.deepEqual(told, [true, true, 3, taken, 2, 0, ['three'], [], null, 1, 4, 30, 100, 1, 0])
    })

    test('signs in on either', options, async (t) => {
      const { port } = await startMeilies(t)
      const { port: floki } = await startFloki(t)
      const named = client.version === '2.10.6' ? null : 'a-client'
      assert.deepEqual(await new Script(t, client, ['meilies', port, 'sign-in']).rest(), [true, named])
      assert.deepEqual(await new Script(t, client, ['floki', floki, 'sign-in']).rest(), [true, named])
    })

    test('is sent history and live events, and again from the start when the server was killed', options, async (t) => {
      const server = await MortalRespServer.start(t)
      await server.fill('s', 0, 1)
      const script = new Script(t, client, ['meilies', server.meilies, 'follow'])
      const poll = new Script(t, client, ['floki', server.floki, 'poll'])
      assert.equal(await poll.next(), 'ready')
      assert.deepEqual(await script.step(), ['subscribe', 's:0', 1])
      for (const number of [0, 1]) assert.deepEqual(await script.step(), message(number))
      await server.fill('s', 2)
      assert.deepEqual(await script.step(), message(2))
      await server.kill()
      await server.startAgain()
      assert.deepEqual(await script.step(), ['subscribe', 's:0', 1])
      for (const number of [0, 1, 2]) assert.deepEqual(await script.step(), message(number))
      script.tell('unsubscribe')
      assert.deepEqual(await script.step(), ['unsubscribe', 's:0', 0])
      await server.push('q', 'meanwhile')
      assert.deepEqual(await poll.rest(), [['meanwhile']])
    })
  })
}
