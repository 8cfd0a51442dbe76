/**
 * MeiliES' own client, the published crate as it is, against the MeiliES dialect: it publishes, asks, follows, and finds a server
 * again that was killed. The published version knows `<stream>` and `<stream>:<from>`; ranges with an end came later.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startMeilies } from '../helpers/meilies-server.js'
import { MortalRespServer } from '../helpers/mortal-resp-server.js'
import { findPeer, skipUnless } from '../helpers/peer.js'
import { TcpProxy } from '../helpers/tcp-proxy.js'

const CARGO = findPeer('cargo')
const FOLDER = fileURLToPath(new URL('./meilies-rust', import.meta.url))
/** Outside of the tree, and kept: the next run has nothing to compile. */
const TARGET = join(tmpdir(), 'leveret-meilies-rust')
const PROGRAM = join(TARGET, 'debug', 'meilies-peer')
const SKIP = CARGO.found ? skipUnless("MeiliES' client", () => compile(CARGO.file)) : CARGO.skip
const OPTIONS = { skip: SKIP, timeout: 60_000 }

function compile(cargo: string): void {
  const env = { ...process.env, CARGO_TARGET_DIR: TARGET }
  execFileSync(cargo, ['build', '--locked', '--quiet'], { cwd: FOLDER, env, stdio: ['ignore', 'inherit', 'inherit'] })
}

/** Lines that it prints while it runs; it is ended with the test. */
class Follower {
  readonly #lines: string[] = []
  #rest = ''
  #wake: (() => void) | null = null
  #isGone = false

  constructor(t: TestContext, port: number, specs: readonly string[]) {
    const child = spawn(PROGRAM, [`127.0.0.1:${port}`, 'follow', ...specs])
    t.after(() => child.kill('SIGKILL'))
    child.stdout.on('data', (chunk: Buffer) => this.#receive(chunk.toString()))
    child.on('close', () => {
      this.#isGone = true
      this.#wake?.()
    })
  }

  async take(count: number): Promise<string[]> {
    while (this.#lines.length < count) {
      assert.ok(!this.#isGone, `it ended after ${JSON.stringify(this.#lines)}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#lines.splice(0, count)
  }

  get left(): readonly string[] {
    return this.#lines
  }

  #receive(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    this.#lines.push(...lines)
    this.#wake?.()
  }
}

/** What it prints for these lines of input. */
async function say(port: number, ...lines: readonly string[]): Promise<string[]> {
  const child = spawn(PROGRAM, [`127.0.0.1:${port}`, 'say'], { stdio: ['pipe', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  child.stdin.end(`${lines.join('\n')}\n`)
  await once(child, 'close')
  return text.trimEnd().split('\n')
}

test('publishes and asks', OPTIONS, async (t) => {
  const { port } = await startMeilies(t)
  const printed = await say(
    port,
    'publish s e Hello World!',
    'publish s e ',
    'last s',
    'last none',
    'publish t e x',
    'names',
  )
  assert.deepEqual(printed, ['OK', 'OK', 's Some(1)', 'none None', 'OK', 's t'])
})

test('is told what is wrong, and goes on with another connection', OPTIONS, async (t) => {
  const { port } = await startMeilies(t)
  const [error, ...rest] = await say(port, 'publish $all e x', 'publish s e x')
  assert.match(error ?? '', /^server side error: invalid request message; Invalid argument resp type/)
  assert.deepEqual(rest, ['OK'])
})

test('follows streams with history, from a number, and from now on', OPTIONS, async (t) => {
  const server = await startMeilies(t)
  await server.fill('a', 3)
  await server.fill('b', 3)
  await server.fill('c', 3)
  const follower = new Follower(t, server.port, ['a:0', 'b:2', 'c'])
  const frames = [
    'subscribed a',
    'event a 0 e0 0',
    'event a 1 e1 1',
    'event a 2 e2 2',
    'subscribed b',
    'event b 2 e2 2',
  ]
  // It asks for one stream at a time, and what comes of one may come behind the answer for the next.
  assert.deepEqual((await follower.take(7)).sort(), [...frames, 'subscribed c'].sort())
  await server.fill('c', 1, 3)
  assert.deepEqual(await follower.take(1), ['event c 3 e3 3'])
  await server.fill('a', 1, 3)
  assert.deepEqual(await follower.take(1), ['event a 3 e3 3'])
})

test('follows all streams, also those that come later', OPTIONS, async (t) => {
  const server = await startMeilies(t)
  await server.fill('a', 1)
  const follower = new Follower(t, server.port, ['$all:0'])
  assert.deepEqual(await follower.take(2), ['subscribed a', 'event a 0 e0 0'])
  await server.fill('b', 2)
  assert.deepEqual(await follower.take(3), ['subscribed b', 'event b 0 e0 0', 'event b 1 e1 1'])
})

test('goes on exactly where it was when the server was killed', OPTIONS, async (t) => {
  const server = await MortalRespServer.start(t)
  await server.fill('a', 0, 1, 2)
  const follower = new Follower(t, server.meilies, ['a:0', 'b'])
  const frames = ['subscribed a', 'event a 0 e0 0', 'event a 1 e1 1', 'event a 2 e2 2', 'subscribed b']
  assert.deepEqual((await follower.take(5)).sort(), frames.sort())
  await server.fill('b', 0)
  assert.deepEqual(await follower.take(1), ['event b 0 e0 0'])
  await server.kill()
  await server.startAgain()
  // Both while it is away and when it has come back: nothing is missed, and nothing comes twice.
  await server.fill('a', 3)
  await server.fill('b', 1)
  assert.deepEqual((await follower.take(2)).sort(), ['event a 3 e3 3', 'event b 1 e1 1'])
  await server.fill('a', 4)
  assert.deepEqual(await follower.take(1), ['event a 4 e4 4'])
  assert.deepEqual(follower.left, [])
})

test('follows all streams again without what it has seen', OPTIONS, async (t) => {
  const server = await startMeilies(t)
  await server.fill('a', 2)
  const proxy = await TcpProxy.start(server.port)
  t.after(() => proxy.stop())
  const follower = new Follower(t, proxy.port, ['$all:0'])
  assert.deepEqual(await follower.take(3), ['subscribed a', 'event a 0 e0 0', 'event a 1 e1 1'])
  proxy.cut()
  await server.fill('a', 1, 2)
  assert.deepEqual(await follower.take(1), ['event a 2 e2 2'])
  await server.fill('b', 1)
  assert.deepEqual(await follower.take(2), ['subscribed b', 'event b 0 e0 0'])
  assert.deepEqual(follower.left, [])
})
