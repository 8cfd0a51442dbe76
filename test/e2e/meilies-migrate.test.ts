/**
 * `leveret meilies-migrate` between real servers, and from one with the defects of MeiliES: what arrives has the numbers, names and
 * bytes that it had, however often the tool is killed, and nothing is called a copy that is none.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DialectServer } from '../helpers/dialect-server.js'
import { FakeMeilies } from '../helpers/fake-meilies.js'
import { type Ended, runLeveret, startLeveret } from '../helpers/leveret-process.js'
import { RespPeer } from '../helpers/resp-peer.js'
import type { RespValue } from '../helpers/resp-values.js'

const WITHIN = { timeout: 90_000 }

async function start(t: TestContext, ...flags: readonly string[]): Promise<DialectServer> {
  const server = await DialectServer.start(flags)
  t.after(() => server.kill())
  return server
}

function wordsOf(from: number, to: number, ...more: readonly string[]): string[] {
  return ['meilies-migrate', '--from', `127.0.0.1:${from}`, '--to', `localhost:${to}`, ...more]
}

async function publish(
  port: number,
  stream: string,
  name: string,
  ...all: readonly (string | Buffer)[]
): Promise<void> {
  using peer = await RespPeer.connect(port)
  for (const data of all) peer.send('publish', stream, name, data)
  await peer.expect('+OK\r\n'.repeat(all.length))
}

async function count(port: number, stream: string): Promise<number> {
  using peer = await RespPeer.connect(port)
  const reply = await peer.ask('last-event-number', stream)
  assert.ok(reply !== null && reply[0] === '*')
  const last = reply[1][2]
  return last?.[0] === ':' ? last[1] + 1 : 0
}

/** All frames of a stream, numbers, names and data. */
async function contents(port: number, stream: string): Promise<(RespValue | null)[]> {
  using peer = await RespPeer.connect(port)
  const events = await count(port, stream)
  peer.send('subscribe', `${stream}:0:${events}`)
  await peer.next()
  return await peer.take(events)
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setTimeout(resolve, 10))
}

function assertEnded({ code, stdout, stderr }: Ended, expected: number, complaint: RegExp): void {
  assert.equal(code, expected, `${stdout.toString()}\n${stderr}`)
  assert.match(stderr, complaint)
}

test('copies names, bytes and numbers, is killed and goes on, and follows what comes', WITHIN, async (t) => {
  const a = await start(t)
  const b = await start(t)
  const [from, to] = [a.ports.meilies, b.ports.meilies]
  await publish(from, 'odd', 'a name: é', '', 'x\r\n*3\r\n\0', Buffer.alloc(1024 * 1024, '\xff\r\n'), 'end')
  const many = Array.from({ length: 60_000 }, (_, number) => `event ${number}`)
  await publish(from, 'many', 'e', ...many)

  for (const enough of [1, 20_000]) {
    const killed = startLeveret(wordsOf(from, to))
    t.after(() => killed.signal('SIGKILL'))
    await until(async () => (await count(to, 'many')) >= enough)
    killed.signal('SIGKILL')
    await killed.ended
  }
  const followed = startLeveret(wordsOf(from, to))
  t.after(() => followed.signal('SIGKILL'))
  await followed.printed(/2 streams are copied/, 'stderr')
  await publish(from, 'odd', 'live', 'one', 'two')
  await publish(from, 'new stream', 'live', 'three')
  await until(async () => (await count(to, 'odd')) === 6 && (await count(to, 'new stream')) === 1)
  followed.signal('SIGTERM')
  assertEnded(await followed.ended, 0, /stopped/)
  for (const stream of ['odd', 'many', 'new stream']) {
    assert.deepEqual(await contents(to, stream), await contents(from, stream), stream)
  }
})

test('goes on by itself when a server was away for a while', WITHIN, async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-migrate-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const a = await start(t, '--data', data)
  const [from, to] = [a.ports.meilies, (await start(t)).ports.meilies]
  await publish(from, 's', 'e', '0')
  const followed = startLeveret(wordsOf(from, to))
  t.after(() => followed.signal('SIGKILL'))
  await followed.printed(/1 streams are copied/, 'stderr')
  await a.stop()
  await followed.printed(/trying again/, 'stderr')
  await start(t, '--data', data, '--meilies', String(from))
  await publish(from, 's', 'e', '1')
  await followed.printed(/connected again/, 'stderr')
  await until(async () => (await count(to, 's')) === 2)
  followed.signal('SIGTERM')
  assertEnded(await followed.ended, 0, /stopped/)
})

test('copies what there is and ends, where that is wanted, and only the streams that are named', WITHIN, async (t) => {
  const a = await start(t, '--meilies-messages')
  const b = await start(t)
  for (const stream of ['s', 't']) await publish(a.ports.meilies, stream, 'e', '0', '1')
  const words = wordsOf(a.ports.meilies, b.ports.meilies, '--no-follow', 's')
  assertEnded(await runLeveret(words), 0, /s: 2 events copied, 0 were there/)
  await publish(a.ports.meilies, 's', 'e', '2')
  assertEnded(await runLeveret(words), 0, /s: 1 events copied, 2 were there/)
  assertEnded(await runLeveret(words), 0, /s: 0 events copied, 3 were there/)
  assert.equal(await count(b.ports.meilies, 's'), 3)
  assert.equal(await count(b.ports.meilies, 't'), 0)
})

test('refuses a server as its own copy, and a destination that is no copy', WITHIN, async (t) => {
  const a = await start(t)
  const b = await start(t)
  const [from, to] = [a.ports.meilies, b.ports.meilies]
  assertEnded(await runLeveret(wordsOf(from, from)), 2, /are the same server/)
  assertEnded(await runLeveret(['meilies-migrate', '--from', 'x', '--to', 'y:1']), 2, /a host and a port/)
  assertEnded(await runLeveret(wordsOf(1, to)), 1, /cannot connect to 127\.0\.0\.1:1: .*refused/)
  await publish(from, 's', 'e', '0', '1')
  await publish(to, 's', 'e', '0', 'other')
  assertEnded(await runLeveret(wordsOf(from, to, '--no-follow')), 1, /event 1 of .* is not that of the source/)
  assert.equal(await count(to, 's'), 2)
  await publish(from, 't', 'e', '0')
  await publish(to, 't', 'e', '0', '1')
  assertEnded(await runLeveret(wordsOf(from, to, '--no-follow', 't')), 1, /has 2 events, and the source 1/)
})

test(
  'asks MeiliES for what it delivers whole, and stops at what it has lost unless it is told to go on',
  WITHIN,
  async (t) => {
    const source = await FakeMeilies.start()
    t.after(() => source.stop())
    const b = await start(t)
    const to = b.ports.meilies
    for (let number = 0; number < 5; number++) source.put('s', { number, name: 'e', data: `${number}` })
    source.put('s', { number: 6, name: 'e', data: '6' })
    const words = wordsOf(source.port, to)
    assertEnded(await runLeveret([...words, '--no-follow']), 1, /has no event 5; with --fill/)
    assert.ok((await count(to, 's')) <= 5)

    const followed = startLeveret([...words, '--fill', 'lost'])
    t.after(() => followed.signal('SIGKILL'))
    await followed.printed(/1 streams are copied/, 'stderr')
    assert.match(followed.stderr, /1 of them in the place of lost ones/)
    // Stored in the wrong order, as its threads did.
    source.put('s', { number: 8, name: 'e', data: '8' })
    source.put('s', { number: 7, name: 'e', data: '7' })
    await until(async () => (await count(to, 's')) === 9)
    followed.signal('SIGINT')
    await followed.ended
    const frames = (await contents(to, 's')).map((frame) => {
      assert.ok(frame !== null && frame[0] === '*')
      return frame[1].map(([, word]) => word)
    })
    assert.deepEqual(
      frames.map(([, , number, name, data]) => [number, name, data]),
      [...'01234', '', ...'678'].map((data, number) => [number, data === '' ? 'lost' : 'e', data]),
    )
    // It ends the connection after what it does not know.
    assert.deepEqual([...new Set(source.asked.map(([verb]) => verb))].sort(), [
      'last-event-number',
      'stream-names',
      'subscribe',
    ])
  },
)

test('says that the source has no such stream', WITHIN, async (t) => {
  const [a, b] = [await start(t), await start(t)]
  await publish(a.ports.meilies, 'there', 'e', '0')
  for (const more of [['--no-follow'], []]) {
    const ended = await runLeveret(wordsOf(a.ports.meilies, b.ports.meilies, 'there', 'not', 'nor', ...more))
    assertEnded(ended, 1, /has no stream not, nor\n$/)
  }
  assert.equal(await count(b.ports.meilies, 'there'), 0)
})
