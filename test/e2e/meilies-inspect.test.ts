/**
 * `leveret meilies-inspect` as a process: what its commands are told, where it stops, and where it goes on.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { DialectServer } from '../helpers/dialect-server.js'
import { type Running, runLeveret, startLeveret } from '../helpers/leveret-process.js'
import { RespPeer } from '../helpers/resp-peer.js'

const WITHIN = { timeout: 60_000 }

async function start(t: TestContext, ...flags: readonly string[]): Promise<{ port: number; server: DialectServer }> {
  const server = await DialectServer.start(flags)
  t.after(() => server.kill())
  return { port: server.ports.meilies, server }
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'leveret-inspect-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function inspect(t: TestContext, port: number, ...words: readonly string[]): Running {
  const running = startLeveret(['meilies-inspect', '-p', String(port), ...words])
  t.after(() => running.signal('SIGKILL'))
  return running
}

async function publish(port: number, stream: string, ...all: readonly string[]): Promise<void> {
  using peer = await RespPeer.connect(port)
  for (const data of all) peer.send('publish', stream, 'my name', data)
  await peer.expect('+OK\r\n'.repeat(all.length))
}

async function stop(running: Running): Promise<void> {
  running.signal('SIGTERM')
  const { code, stderr } = await running.ended
  assert.equal(code, 0, stderr)
}

const SHOW = 'echo "$MEILIES_STREAM_NAME/$MEILIES_EVENT_NUMBER/$MEILIES_EVENT_NAME/$(cat)"'

test('runs a command for each event, one after the other, and tells it all of the event', WITHIN, async (t) => {
  const { port } = await start(t)
  await publish(port, 's', 'a b', '')
  const running = inspect(t, port, '-h', '127.0.0.1', '--stream', 's:0', `sleep 0.1; ${SHOW}`)
  await running.printed(/^s\/0\/my name\/a b\ns\/1\/my name\/\n$/)
  await publish(port, 's', 'live', 'more')
  await running.printed(/live\ns\/3\/my name\/more\n$/)
  await stop(running)
})

test('gives the command bytes as they are, and does not mind one that does not read', WITHIN, async (t) => {
  const { port } = await start(t)
  const path = join(folder(t), 'data')
  const data = Buffer.from([...Array(256).keys(), 13, 10])
  using peer = await RespPeer.connect(port)
  peer.send('publish', 's', 'e', Buffer.alloc(4 * 1024 * 1024))
  peer.send('publish', 's', 'e', data)
  await peer.expect('+OK\r\n+OK\r\n')
  const running = inspect(t, port, '--stream', 's:0', `[ $MEILIES_EVENT_NUMBER = 0 ] || { cat > ${path}; echo done; }`)
  await running.printed(/^done$/m)
  assert.deepEqual(readFileSync(path), data)
  await stop(running)
})

test('ends with the command that fails, and nothing comes after it', WITHIN, async (t) => {
  const { port } = await start(t)
  await publish(port, 's', '0', '1', '2', '3', '4')
  const command = `${SHOW}; [ $MEILIES_EVENT_NUMBER != 3 ] || exit 7`
  const { code, stdout, stderr } = await runLeveret(['meilies-inspect', '-p', String(port), '--stream', 's:0', command])
  assert.equal(code, 1)
  assert.match(stderr, /the command ended with 7 at event 3 of s/)
  assert.equal(stdout.toString().trim().split('\n').length, 4)
})

test(
  'goes on where it was: after a failure, a kill and a break, with nothing left out and nothing twice',
  WITHIN,
  async (t) => {
    const { port, server } = await start(t)
    const position = join(folder(t), 'position')
    const words = ['--stream', '$all:0', '--position', position]
    await publish(port, 's', '0', '1')
    await publish(port, 't', '0')
    const failing = inspect(t, port, ...words, `${SHOW}; [ $MEILIES_STREAM_NAME/$MEILIES_EVENT_NUMBER != s/1 ]`)
    assert.equal((await failing.ended).code, 1)

    const killed = inspect(t, port, ...words, SHOW)
    await killed.printed(/^s\/1/m)
    await killed.printed(/^t\/0/m)
    await publish(port, 's', '2')
    await killed.printed(/^s\/2/m)
    while (!readFileSync(position, 'utf8').includes('"s":3')) await new Promise((resolve) => setTimeout(resolve, 5))
    killed.signal('SIGKILL')
    await killed.ended
    assert.equal(
      killed.stdout
        .toString()
        .split('\n')
        .filter((line) => line.startsWith('s/')).length,
      2,
    )

    await publish(port, 's', '3')
    const last = inspect(t, port, ...words, SHOW)
    await last.printed(/^s\/3\/my name\/3\n$/)
    await server.stop()
    await last.printed(/trying again/, 'stderr')
    await stop(last)
  },
)

test('without a number it begins at the end, and misses nothing from then on', WITHIN, async (t) => {
  const { port } = await start(t)
  const position = join(folder(t), 'position')
  await publish(port, 's', 'old')
  const words = ['--stream', 's', '--position', position]
  const first = inspect(t, port, ...words, SHOW)
  while (true) {
    try {
      if (readFileSync(position, 'utf8').includes('"s":1')) break
    } catch {
      // not begun yet
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  first.signal('SIGKILL')
  await first.ended
  await publish(port, 's', 'while nobody looked')
  const second = inspect(t, port, ...words, SHOW)
  await second.printed(/^s\/1\/my name\/while nobody looked\n$/)
  await stop(second)
})

test('ends with the end of a range, and with 0', WITHIN, async (t) => {
  const { port } = await start(t)
  const position = join(folder(t), 'position')
  await publish(port, 's', '0', '1', '2')
  const running = inspect(t, port, '--stream', 's:1:4', '--position', position, SHOW)
  await running.printed(/^s\/2/m)
  await publish(port, 's', '3', '4')
  const { code, stdout } = await running.ended
  assert.equal(code, 0)
  assert.equal(stdout.toString(), [1, 2, 3].map((number) => `s/${number}/my name/${number}\n`).join(''))
  for (const words of [
    ['--stream', 's:1:4', '--position', position],
    ['--stream', 's:2:2'],
  ]) {
    const nothing = await inspect(t, port, ...words, SHOW).ended
    assert.deepEqual([nothing.code, nothing.stdout.toString()], [0, ''])
  }
})

test('refuses what it cannot do', WITHIN, async (t) => {
  const { port } = await start(t)
  const position = join(folder(t), 'position')
  const refused = async (complaint: RegExp, expected: number, ...words: readonly string[]): Promise<void> => {
    const { code, stderr } = await runLeveret(['meilies-inspect', '-p', String(port), ...words])
    assert.equal(code, expected)
    assert.match(stderr, complaint)
  }
  await refused(/--stream/, 2, 'true')
  await refused(/says: invalid request message; Invalid argument resp type/, 1, '--stream', 's:3:2', 'true')
  await refused(/says: invalid request message; Invalid argument resp type/, 1, '--stream', 's:x', 'true')
  writeFileSync(position, '{"spec":"t:0","next":{}}')
  await refused(/holds the positions of "t:0"/, 1, '--stream', 's:0', '--position', position, 'true')
  writeFileSync(position, 'torn')
  await refused(/holds no positions/, 1, '--stream', 's:0', '--position', position, 'true')
  await refused(/cannot connect to 127\.0\.0\.1:1/, 1, '-p', '1', '--stream', 's:0', 'true')
})
