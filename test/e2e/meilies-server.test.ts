/**
 * `leveret meilies-server` as a process: the flags of MeiliES' own server, its defaults, and nothing but its dialect.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Running, runLeveret, startLeveret } from '../helpers/leveret-process.js'
import { RespPeer } from '../helpers/resp-peer.js'

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'leveret-meilies-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Started with these flags and ready, at its port. */
async function start(t: TestContext, words: readonly string[], env = {}): Promise<{ running: Running; port: number }> {
  const running = startLeveret(['meilies-server', ...words], env)
  t.after(() => running.signal('SIGKILL'))
  await running.printed(/^ready$/m)
  const [, port] = await running.printed(/^listening meilies 127\.0\.0\.1:(\d+)$/m)
  return { running, port: Number(port) }
}

async function stop(running: Running): Promise<string> {
  running.signal('SIGTERM')
  const { code, stderr } = await running.ended
  assert.equal(code, 0, stderr)
  return stderr
}

test('listens for its dialect and for nothing else, and keeps events where --db-path says', async (t) => {
  const data = join(folder(t), 'made', 'by', 'leveret')
  for (const number of [0, 1]) {
    const { running, port } = await start(t, ['-h', '127.0.0.1', '-p', '0', '--db-path', data], { PORT: '1' })
    const peer = await RespPeer.connect(port)
    assert.deepEqual(await peer.ask('publish', 's', 'e', 'd'), ['+', 'OK'])
    peer.send('last-event-number', 's')
    await peer.expect(`*3\r\n+last-event-number\r\n+s\r\n:${number}\r\n`)
    peer[Symbol.dispose]()
    assert.equal(running.stdout.toString(), `listening meilies 127.0.0.1:${port}\nready\n`)
    assert.equal(await stop(running), '')
    assert.ok(readdirSync(data).length > 0)
  }
})

test('listens for native clients as well if it is told to', async (t) => {
  const env = { LEVERET_DIALECTS_ONLY: 'false', PORT: '0' }
  const { running } = await start(t, ['-h', '127.0.0.1', '-p', '0', '--db-path', folder(t)], env)
  assert.match(running.stdout.toString(), /^listening native 127\.0\.0\.1:\d+$/m)
  assert.equal(await stop(running), '')
})

test('takes the other flags of the original, and says that they do nothing', async (t) => {
  const flags = ['--compression-factor', '3', '--no-sentry', '--no-vigil']
  const { running } = await start(t, ['--hostname=127.0.0.1', '--port=0', `--db-path=${folder(t)}`, ...flags])
  const ignored = (await stop(running)).split('\n').map((line) => line.replace(/^leveret: (\S+) is ignored: .+$/, '$1'))
  assert.deepEqual(ignored, ['--compression-factor', '--no-sentry', '--no-vigil', ''])
})

test('has the defaults of the original', async () => {
  const { code, stdout } = await runLeveret(['meilies-server', '--help'])
  assert.equal(code, 0)
  const help = stdout.toString()
  assert.match(help, /-h, --hostname <address> .*\(default: "127\.0\.0\.1"\)/)
  assert.match(help, /-p, --port <port> .*\(default: 6480\)/)
  assert.match(help, /--db-path <folder> .*\s+\(default:\s+"\/var\/lib\/meilies"\)/)
})

test('takes other settings from the environment', async (t) => {
  const data = join(folder(t), 'unused')
  const { running, port } = await start(t, ['-p', '0', '--db-path', data], {
    LEVERET_STORE: 'memory',
    LEVERET_MEILIES: 'off',
    LEVERET_SUBSCRIPTIONS_MAX: '1',
  })
  const peer = await RespPeer.connect(port)
  peer.send('subscribe', 'a:0', 'b:0')
  await peer.expect('-internal error; too many subscriptions\r\n')
  peer[Symbol.dispose]()
  await stop(running)
  assert.equal(existsSync(data), false)
})

for (const [words, complaint] of [
  [['-h', 'localhost'], /--hostname.*address/],
  [['-p', '65536'], /--port.*0 to 65535/],
  [['stream'], /too many arguments/],
  [['-h', '0.0.0.0'], /^ {2}--hostname: .*--insecure/m],
  [['--db-path', ''], /^ {2}--db-path: must be some text/m],
] as const) {
  test(`refuses ${words.join(' ')}`, async (t) => {
    const { code, stderr } = await runLeveret(['meilies-server', '--db-path', folder(t), ...words])
    assert.equal(code, 2)
    assert.match(stderr, complaint)
  })
}

test('listens for others when it is told that this is wanted', async (t) => {
  const running = startLeveret(['meilies-server', '-h', '0.0.0.0', '-p', '0', '--insecure', '--db-path', folder(t)])
  t.after(() => running.signal('SIGKILL'))
  await running.printed(/^listening meilies 0\.0\.0\.0:\d+$/m)
  await stop(running)
})

test('does not touch a folder in which MeiliES kept its own files', async (t) => {
  const data = folder(t)
  const files = ['blobs', 'conf', 'db', 'snap.0000000000A0C41F']
  for (const name of files) writeFileSync(join(data, name), 'sled')
  const { code, stderr } = await runLeveret(['meilies-server', '-p', '0', '--db-path', data])
  assert.equal(code, 1)
  assert.match(stderr, /database of MeiliES itself.*docs\/meilies\.md/)
  assert.deepEqual(readdirSync(data).sort(), files)
})
