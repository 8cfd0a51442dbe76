/**
 * `leveret floki` as a process: the file of Floki's own server, its defaults, and nothing but its dialect.
 */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { FlokiPeer } from '../helpers/floki-server.js'
import { type Running, startLeveretIn } from '../helpers/leveret-process.js'
import { RespPeer } from '../helpers/resp-peer.js'

/** As it comes with Floki, and what differs from that. */
function fileOf(changes: Readonly<Record<string, string | number>> = {}): string {
  const options = {
    bind_address: '127.0.0.1:0',
    max_connections: 1024,
    data_directory: './data/',
    monitor_interval: '1s',
    maintenance_interval: '1s',
    segment_size: '128mb',
    message_timeout: '30s',
    retention_period: '0',
    retention_size: '0',
    hard_retention_period: '24h',
    hard_retention_size: '0',
    ...changes,
  }
  const lines = Object.entries(options).map(([key, value]) => `${key} = ${JSON.stringify(value)} # ${key}`)
  return `# Floki\n${lines.join('\n')}\n`
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'leveret-floki-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Started in this working directory and ready. */
async function start(
  t: TestContext,
  cwd: string,
  words: readonly string[] = [],
): Promise<{ running: Running; peer: FlokiPeer; port: number }> {
  const running = startLeveretIn(cwd, ['floki', ...words])
  t.after(() => running.signal('SIGKILL'))
  await running.printed(/^ready$/m)
  const [, port] = await running.printed(/^listening floki 127\.0\.0\.1:(\d+)$/m)
  const peer = new FlokiPeer(await RespPeer.connect(Number(port)))
  t.after(() => peer.raw[Symbol.dispose]())
  return { running, peer, port: Number(port) }
}

async function stop(running: Running, peer?: FlokiPeer): Promise<string> {
  peer?.raw[Symbol.dispose]()
  running.signal('SIGTERM')
  const { code, stderr } = await running.ended
  assert.equal(code, 0, stderr)
  return stderr
}

async function refused(cwd: string, words: readonly string[] = []): Promise<{ code: number | null; stderr: string }> {
  return await startLeveretIn(cwd, ['floki', ...words]).ended
}

test('reads floki.toml where it is started, and keeps messages where that says', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'floki.toml'), fileOf())
  for (const id of [1, 2]) {
    const { running, peer, port } = await start(t, cwd)
    await peer.expect('SETNX q c', '+OK')
    await peer.expect('RPUSH q body', ':1')
    assert.deepEqual((await peer.fetch('HMGET q c 10')).map((message) => message.id).at(-1), id)
    assert.equal(running.stdout.toString(), `listening floki 127.0.0.1:${port}\nready\n`)
    assert.equal(await stop(running, peer), '')
    assert.ok(readdirSync(join(cwd, 'data')).length > 0)
  }
})

test('takes every option of the file', async (t) => {
  const cwd = folder(t)
  const options = {
    bind_address: '127.0.0.1:0',
    max_connections: 2,
    data_directory: join(cwd, 'elsewhere'),
    monitor_interval: '500ms',
    maintenance_interval: '2s',
    segment_size: '16MB',
    message_timeout: '5m',
    retention_period: '1h',
    retention_size: '1g',
    hard_retention_period: '2d',
    hard_retention_size: '2gb',
  }
  const file = join(cwd, 'other.toml')
  writeFileSync(file, `${fileOf(options)}workers = 4\n`)
  const { running, peer, port } = await start(t, cwd, [file])
  const config = await peer.json('CONFIG GET server')
  const { name, data_directory, durability, ...queue } = config['default_queue_config'] as Record<string, unknown>
  assert.deepEqual([name, data_directory, durability], ['', options.data_directory, 'async'])
  assert.deepEqual(queue, {
    segment_size: 16 * 2 ** 20,
    message_timeout: 300,
    retention_period: 3600,
    hard_retention_period: 172_800,
    retention_size: 2 ** 30,
    hard_retention_size: 2 ** 31,
    segment_period: 3600,
  })
  assert.deepEqual([config['bind_address'], config['max_connections']], [`127.0.0.1:${port}`, 2])
  await peer.expect('SET q c', '+OK')
  const queues = await peer.json('CONFIG GET queues')
  assert.deepEqual(queues['q'], { name: 'q', data_directory: options.data_directory, ...queue, durability })

  const second = await RespPeer.connect(port)
  const third = await RespPeer.connect(port)
  t.after(() => second[Symbol.dispose]())
  t.after(() => third[Symbol.dispose]())
  await third.expect('-ERR max number of clients reached\r\n')
  second[Symbol.dispose]()
  const remarks = (await stop(running, peer)).trim().split('\n')
  assert.deepEqual(remarks.map((line) => line.replace(/^leveret: \S+other\.toml: /, '')).sort(), [
    'maintenance_interval is ignored: retention has a beat of its own',
    'monitor_interval is ignored: a message comes back when its time is over',
    'workers is ignored: Floki has no such option',
  ])
})

test('lets CONFIG SET have the last word on what it was told, and the file on the rest', async (t) => {
  const cwd = folder(t)
  const file = join(cwd, 'floki.toml')
  const defaults = async (peer: FlokiPeer) => {
    const config = await peer.json('CONFIG GET server')
    const { message_timeout, retention_period } = config['default_queue_config'] as Record<string, number>
    return [message_timeout, retention_period]
  }
  writeFileSync(file, fileOf({ message_timeout: '10s', retention_period: '1m' }))
  const first = await start(t, cwd)
  assert.deepEqual(await defaults(first.peer), [10, 60])
  await first.peer.expect('CONFIG SET server.message_timeout 20s', '+OK')
  await stop(first.running, first.peer)
  writeFileSync(file, fileOf({ message_timeout: '500ms', retention_period: '2m' }))
  const second = await start(t, cwd)
  assert.deepEqual(await defaults(second.peer), [20, 120])
  assert.match(
    await stop(second.running, second.peer),
    /floki\.toml: message_timeout is 1s: with "500ms" a message would/,
  )
})

test('goes on with what Floki shipped where there is no file, or not all of it', async (t) => {
  const cwd = folder(t)
  // The port is the original's, which another server may have here.
  const bare = startLeveretIn(cwd, ['floki'])
  t.after(() => bare.signal('SIGKILL'))
  await bare.printed(/there is no floki\.toml here: every option is as Floki shipped it/, 'stderr')
  await Promise.race([bare.printed(/^listening floki 127\.0\.0\.1:9797\nready$/m), bare.ended])
  bare.signal('SIGTERM')
  const { code, stderr } = await bare.ended
  assert.ok(code === 0 || /127\.0\.0\.1:9797/.test(stderr), stderr)

  writeFileSync(join(cwd, 'floki.toml'), 'bind_address = "127.0.0.1:0"\n')
  const { running, peer } = await start(t, cwd)
  const config = await peer.json('CONFIG GET server')
  const queue = config['default_queue_config'] as Record<string, number>
  assert.deepEqual([config['max_connections'], config['data_directory']], [1024, './data/'])
  assert.deepEqual(
    ['segment_size', 'message_timeout', 'hard_retention_period', 'retention_size'].map((key) => queue[key]),
    [128 * 2 ** 20, 30, 86_400, 0],
  )
  await stop(running, peer)
})

test('refuses values that cannot be, all of them at once', async (t) => {
  const cwd = folder(t)
  const wrong = {
    bind_address: 'localhost:9797',
    max_connections: '1024',
    data_directory: '',
    monitor_interval: '10x',
    message_timeout: '1h30m',
    segment_size: '2gb',
    retention_period: 30,
    retention_size: '-1',
    hard_retention_size: '18446744073709551616',
  }
  writeFileSync(join(cwd, 'floki.toml'), fileOf(wrong))
  const { code, stderr } = await refused(cwd)
  assert.equal(code, 2)
  const lines = stderr.trim().split('\n')
  assert.equal(lines[0], 'leveret: the settings have mistakes:')
  assert.equal(lines.length - 1, Object.keys(wrong).length, stderr)
  for (const [key, value] of Object.entries(wrong)) {
    const line = lines.find((text) => text.startsWith(`  floki.toml: ${key}: must be `))
    assert.ok(line?.endsWith(`, not ${JSON.stringify(value)}`), `${key}: ${line}`)
  }
  assert.match(stderr, /segment_size: must be a size .* from 1mb to less than 2gb, not "2gb"/)
  assert.deepEqual(readdirSync(cwd), ['floki.toml'])
})

test('says where the file cannot be read', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'floki.toml'), 'bind_address = "127.0.0.1:0"\nmax_connections = \n')
  const broken = await refused(cwd)
  assert.equal(broken.code, 2)
  assert.match(broken.stderr, /^ {2}floki\.toml:2: Invalid TOML/m)
  const missing = await refused(cwd, ['missing.toml'])
  assert.equal(missing.code, 2)
  writeFileSync(join(cwd, 'floki.toml'), `[server]\n${fileOf()}`)
  const nested = await refused(cwd)
  assert.equal(nested.code, 2)
  assert.match(nested.stderr, /^ {2}floki\.toml: \[server\]: options stand at the top level, in no table$/m)
  assert.match(missing.stderr, /^ {2}missing\.toml: there is no such file$/m)
})

test('listens for others only when it is told that this is wanted', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'floki.toml'), fileOf({ bind_address: '0.0.0.0:0' }))
  const { code, stderr } = await refused(cwd)
  assert.equal(code, 2)
  assert.match(stderr, /^ {2}floki\.toml: bind_address: "0\.0\.0\.0" .*--insecure/m)
  const running = startLeveretIn(cwd, ['floki', '--insecure'])
  t.after(() => running.signal('SIGKILL'))
  await running.printed(/^listening floki 0\.0\.0\.0:\d+$/m)
  await stop(running)
})

test('does not touch a folder in which Floki kept its own queues', async (t) => {
  const cwd = folder(t)
  writeFileSync(join(cwd, 'floki.toml'), fileOf())
  for (const queue of ['a', 'b']) mkdirSync(join(cwd, 'data', queue), { recursive: true })
  writeFileSync(join(cwd, 'data', 'a', '000000000000001.data'), '')
  writeFileSync(join(cwd, 'data', 'b', 'queue.checkpoint'), '{}')
  const { code, stderr } = await refused(cwd)
  assert.equal(code, 1)
  assert.match(stderr, /\.\/data\/ holds queues of Floki itself \(a, b\): run leveret floki-import \.\/data\/ --data /)
  assert.deepEqual(readdirSync(join(cwd, 'data')), ['a', 'b'])
})
