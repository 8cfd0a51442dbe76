/**
 * `leveret serve` as a process: what it prints, which port it takes, what keeps it from starting, and how it ends.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as dial, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemClock } from '../../src/common/clock.js'
import { freePort } from '../helpers/free-port.js'
import { pause } from '../helpers/kill-server.js'
import { runLeveret, startLeveret, startServer } from '../helpers/leveret-process.js'

async function answers(port: number): Promise<boolean> {
  const socket = dial(port, '127.0.0.1')
  const outcome = await once(socket, 'connect').then(
    () => true,
    () => false,
  )
  socket.destroy()
  return outcome
}

async function assertAnswers(port: number): Promise<void> {
  assert.ok(await answers(port), `nobody listens on ${port}`)
}

test('prints its listeners and then ready, and nothing else', async () => {
  const server = await startServer()
  await assertAnswers(server.port)
  const { stdout, stderr } = await server.stop()
  assert.equal(stdout.toString(), `listening native 127.0.0.1:${server.port}\nready\n`)
  assert.equal(stderr, '')
})

test('listens on the port that PORT names', async () => {
  const port = await freePort()
  const running = startLeveret(['serve'], { PORT: String(port) })
  await running.printed(/^ready$/m)
  assert.match(running.stdout.toString(), new RegExp(`^listening native 127\\.0\\.0\\.1:${port}$`, 'm'))
  await assertAnswers(port)
  running.signal('SIGTERM')
  assert.equal((await running.ended).code, 0)
})

test('a flag wins over PORT', async () => {
  const running = startLeveret(['serve', '--port', '0'], { PORT: '1' })
  await running.printed(/^ready$/m)
  running.signal('SIGINT')
  assert.equal((await running.ended).code, 0)
})

test('a taken port is told in one clear line and ends it with 1', async () => {
  const server = await startServer()
  const { code, stdout, stderr } = await runLeveret(['serve', '--port', String(server.port)])
  assert.equal(code, 1)
  assert.equal(stdout.toString(), '')
  assert.match(stderr, new RegExp(`^leveret: .*127\\.0\\.0\\.1:${server.port}.*\\n$`))
  assert.doesNotMatch(stderr, /\bat .*:\d+:\d+/, 'no stack')
  await assertAnswers(server.port)
  await server.stop()
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} ends it with 0 while clients are connected`, async () => {
    const server = await startServer()
    const subscriber = await server.subscriber('idle')
    const socket = dial(server.port, '127.0.0.1')
    await once(socket, 'connect')
    const closed = once(socket.resume(), 'close')
    server.process.signal(signal)
    const { code, stderr } = await server.process.ended
    assert.equal(code, 0, stderr)
    await closed
    subscriber.signal('SIGINT')
    assert.equal((await subscriber.ended).code, 0)
  })
}

test('a port beyond loopback needs --insecure', async () => {
  const refused = await runLeveret(['serve', '--host', '0.0.0.0', '--port', '0'])
  assert.equal(refused.code, 2)
  assert.match(refused.stderr, /"0\.0\.0\.0" can be reached from other machines/)
  const running = startLeveret(['serve', '--host', '0.0.0.0', '--port', '0', '--insecure'])
  await running.printed(/^listening native 0\.0\.0\.0:\d+\nready$/m)
  running.signal('SIGTERM')
  assert.equal((await running.ended).code, 0)
})

test('lists every mistake of file, environment and flags, and starts nothing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'leveret-config-'))
  const file = join(folder, 'leveret.json')
  writeFileSync(file, JSON.stringify({ colour: 'green', drainMs: 'soon' }))
  const words = ['serve', '--port', 'http', '--config', file]
  const { code, stdout, stderr } = await runLeveret(words, '', { LEVERET_TOPICS_MAX: '0' })
  rmSync(folder, { recursive: true })
  assert.equal(code, 2)
  assert.equal(stdout.toString(), '')
  for (const name of ['colour', 'drainMs', 'LEVERET_TOPICS_MAX', '--port']) assert.ok(stderr.includes(name), stderr)
})

test('a store that is not there yet is refused in one sentence', async () => {
  const { code, stderr } = await runLeveret(['serve', '--port', '0', '--store', 'kafka'])
  assert.equal(code, 2)
  assert.match(stderr, /--store: "kafka" is planned but not in this version; what there is: log, memory\n$/)
})

test('a data directory that cannot be one is told in one line and ends it with 1', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'leveret-no-data-'))
  const file = join(folder, 'file')
  writeFileSync(file, 'no directory\n')
  for (const data of [file, join(file, 'inside')]) {
    const { code, stdout, stderr } = await runLeveret(['serve', '--port', '0', '--data', data])
    assert.deepEqual([code, stdout.toString()], [1, ''])
    const [line = '', ...others] = stderr.split('\n')
    assert.ok(line.startsWith(`leveret: the data directory ${data} cannot be used: `), stderr)
    assert.match(line, /: not a directory \(ENOTDIR\)$/)
    assert.deepEqual(others, [''])
  }
  rmSync(folder, { recursive: true })
})

const NO_PROC = existsSync('/proc/self') ? false : 'there is no /proc'

test('a data directory below one that takes none is told as well', { skip: NO_PROC, timeout: 60_000 }, async () => {
  for (const words of [
    ['serve', '--port', '0', '--data'],
    ['meilies-server', '--port', '0', '--db-path'],
  ]) {
    // Node makes several levels at once, and never ends where the first of them cannot be made there.
    const running = startLeveret([...words, '/proc/none/inside'])
    const end = setTimeout(() => running.signal('SIGKILL'), 20_000)
    const { code, stderr } = await running.ended
    clearTimeout(end)
    assert.equal(code, 1)
    assert.match(stderr, /^leveret: the data directory \/proc\/none\/inside cannot be used: mkdir \/proc\/none: .*\n$/)
  }
})

test('serves on when nobody reads what it prints', async () => {
  const server = await startServer()
  server.process.child.stdout.destroy()
  await assertAnswers(server.port)
  server.process.signal('SIGTERM')
  assert.equal((await server.process.ended).code, 0)
})

/** A peer that was promised a drain and never takes it: it reads nothing and keeps its side open. */
async function stubbornPeer(port: number): Promise<Socket> {
  const socket = dial({ port, host: '127.0.0.1', allowHalfOpen: true })
  await once(socket, 'connect')
  // A ping, so that the server knows it for a peer of its protocol.
  socket.write(Buffer.from([4, 0x08, 1, 0x42, 0]))
  await once(socket, 'readable')
  return socket
}

test('cuts off after --drain who does not let go, and still ends with 0', async () => {
  const server = await startServer(['--drain', '50ms'])
  const peer = await stubbornPeer(server.port)
  await server.stop()
  peer.destroy()
})

for (const [first, second] of [
  ['SIGINT', 'SIGINT'],
  ['SIGINT', 'SIGTERM'],
] as const) {
  test(`${first} and ${second} for one Ctrl-C are one wish: it drains and closes its data`, async () => {
    const data = mkdtempSync(join(tmpdir(), 'leveret-twice-'))
    const server = await startServer(['--drain', '500ms', '--data', data])
    await server.succeed(['topics', 'create', 'kept', '--retain', '1h'])
    await server.succeed(['pub', 'kept'], 'one\n')
    const peer = await stubbornPeer(server.port)
    server.process.signal(first)
    await pause(50)
    server.process.signal(second)
    const { code, stderr } = await server.process.ended
    assert.deepEqual([code, stderr], [0, ''])
    peer.destroy()
    const { stdout } = await runLeveret(['check', data, '--json'])
    const { isSound, isClosed } = JSON.parse(stdout.toString()) as Record<string, unknown>
    assert.deepEqual([isSound, isClosed], [true, true])
    rmSync(data, { recursive: true })
  })
}

test('a later signal ends it at once while the drain goes on', async () => {
  const server = await startServer(['--drain', '1h'])
  const peer = await stubbornPeer(server.port)
  const startedMs = systemClock.monotonic()
  const { ended } = server.process
  let isOver = false
  void ended.then(() => {
    isOver = true
  })
  while (!isOver) {
    server.process.signal('SIGTERM')
    await pause(100)
  }
  assert.equal((await ended).code, 143)
  const tookMs = systemClock.monotonic() - startedMs
  assert.ok(tookMs >= 900, `it ended after ${tookMs} ms`)
  peer.destroy()
})
