/**
 * `nats-streaming-server` as a process: the original's flags, the lines that it prints, its signals and exit codes.
 */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { connect as connectStan } from 'node-nats-streaming'
import { connect as connectNative } from '../../client/index.js'
import { type Ended, Running } from '../helpers/leveret-process.js'

const LAUNCHER = fileURLToPath(new URL('../../bin/nats-streaming-server.js', import.meta.url))
const SERVE = fileURLToPath(new URL('../../bin/leveret.js', import.meta.url))
const LOCAL = ['-a', '127.0.0.1', '-p', '-1']

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'leveret-stan-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function launch(t: TestContext, words: readonly string[], env = {}): Running {
  const running = new Running([LAUNCHER, ...words], env)
  t.after(() => running.signal('SIGKILL'))
  return running
}

async function ready(t: TestContext, words: readonly string[], env = {}): Promise<{ running: Running; port: number }> {
  const running = launch(t, words, env)
  await running.printed(/STREAM: Streaming Server is ready\n/, 'stderr')
  const [, port] = await running.printed(/Listening for client connections on 127\.0\.0\.1:(\d+)\n/, 'stderr')
  return { running, port: Number(port) }
}

function end(running: Running, signal: NodeJS.Signals): Promise<Ended> {
  running.signal(signal)
  return running.ended
}

/** The line that the server greets with. */
function greeting(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => undefined)
    socket.once('data', (data) => {
      socket.destroy()
      resolve(data.toString())
    })
    socket.once('error', reject)
  })
}

/** By the library that its users have. */
function publish(port: number, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const stan = connectStan('test-cluster', 'me', { url: `nats://127.0.0.1:${port}` })
    stan.once('error', reject)
    stan.once('close', () => resolve())
    stan.once('connect', () => stan.publish('channel', text, (error) => (error ? reject(error) : stan.close())))
  })
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10))
}

test('TestRunServer: prints what the original prints, and ends by SIGINT with 0 and by SIGTERM with 143', async (t) => {
  const expected = [
    'STREAM: Starting nats-streaming-server[mine] version 0.25.6',
    'STREAM: ServerID: ',
    'STREAM: Git commit: [not set]',
    'Starting nats-server',
    '  Version:  2.9.',
    '  Git:      [not set]',
    '  Name:     leveret',
    '  ID:       N',
    'STREAM: Recovering the state...',
    'STREAM: No recovered state',
    'Listening for client connections on 127.0.0.1:',
    'Server is ready',
    'STREAM: Message store is MEMORY',
    'STREAM: ---------- Store Limits ----------',
    'STREAM: Channels:                    7',
    'STREAM:   Bytes        :     976.56 MB *',
    'STREAM: ----------------------------------',
    'STREAM: Streaming Server is ready',
    'STREAM: Shutting down.',
    'Initiating Shutdown...',
    'Server Exiting..',
  ]
  for (const [signal, code] of [
    ['SIGINT', 0],
    ['SIGTERM', 143],
  ] as const) {
    const { running, port } = await ready(t, [...LOCAL, '-cid', 'mine', '-mc', '7'])
    const info = await greeting(port)
    assert.match(info, /^INFO \{.*"max_payload":1048576.*\} \r\n$/)
    const [, id] = await running.printed(/ {2}ID: {7}(N[0-9A-F]{55})\n/, 'stderr')
    assert.ok(info.includes(`"server_id":"${id}"`), 'clients are told the same')
    const ended = await end(running, signal)
    assert.equal(ended.code, code, ended.stderr)
    const lines = ended.stderr.split('\n')
    let at = 0
    for (const text of expected) {
      const found = lines.findIndex((line, index) => index >= at && line.includes(`[INF] ${text}`))
      assert.ok(found >= at, `${text} is missing in\n${ended.stderr}`)
      at = found
    }
    const form = new RegExp(
      `^\\[${running.child.pid}\\] \\d{4}/\\d\\d/\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{6} \\[[A-Z]{3}\\] `,
    )
    for (const line of lines.slice(0, -1)) assert.match(line, form)
  }
})

test('with -SDV it logs its subjects and who comes, and which channels could not be made', async (t) => {
  const { running, port } = await ready(t, [...LOCAL, '-SDV', '-mc', '1', '-cid', 'test-cluster'])
  const stan = connectStan('test-cluster', 'me', { url: `nats://127.0.0.1:${port}` })
  await new Promise((resolve) => stan.once('connect', resolve))
  const publish = (channel: string) =>
    new Promise<string>((resolve) => {
      stan.publish(channel, 'x', (error) => resolve(error === undefined ? '' : String(error)))
    })
  assert.equal(await publish('l1'), '')
  assert.match(await publish('l2'), /too many channels/)
  const closed = new Promise((resolve) => stan.once('close', resolve))
  stan.close()
  await closed
  const { stderr } = await end(running, 'SIGINT')
  for (const line of [
    '[WRN] STREAM: -SDV is honoured but for -SV in it: single messages and acks of NATS Streaming are not logged',
    '[DBG] STREAM: Discover subject:           _STAN.discover.test-cluster',
    '[DBG] STREAM: Publish subject:            _STAN.pub.test-cluster.>',
    '[DBG] STREAM: Subscribe subject:          _STAN.sub.test-cluster',
    '[DBG] STREAM: Subscription Close subject: _STAN.subclose.test-cluster',
    '[DBG] STREAM: Unsubscribe subject:        _STAN.unsub.test-cluster',
    '[DBG] STREAM: Close subject:              _STAN.close.test-cluster',
    '[INF] STREAM: Channel "l1" has been created',
    '[ERR] STREAM: Creating channel "l2" failed: too many channels',
  ]) {
    assert.ok(stderr.includes(`${line}\n`), `${line} is missing in\n${stderr}`)
  }
  assert.match(stderr, /\[DBG\] STREAM: \[Client:me\] Connected \(Inbox=\S+\)\n/)
  assert.match(stderr, /\[DBG\] STREAM: \[Client:me\] Closed \(Inbox=\S+\)\n/)
})

test('what was there is told at the next start, and another cluster ID is refused', async (t) => {
  const dir = folder(t)
  const words = [...LOCAL, '-st', 'file', '--dir', dir]
  const first = await ready(t, words)
  assert.match(first.running.stderr, /STREAM: Recovering the state\.\.\.\n.*STREAM: No recovered state\n/)
  await publish(first.port, 'hello')
  assert.equal((await end(first.running, 'SIGINT')).code, 0)
  const again = await ready(t, words)
  assert.match(again.running.stderr, /STREAM: Recovering the state\.\.\.\n.*STREAM: Recovered 1 channel\(s\)\n/)
  assert.equal((await end(again.running, 'SIGINT')).code, 0)
  const other = await launch(t, [...words, '-cid', 'other']).ended
  assert.equal(other.code, 1)
  const problem = 'Failed to start: cluster ID "other" does not match recovered value of "test-cluster"'
  assert.ok(other.stderr.includes(`[FTL] STREAM: ${problem}\n`), other.stderr)
})

test('a folder is of its first cluster, though no client ever came', async (t) => {
  const words = [...LOCAL, '-st', 'file', '--dir', folder(t)]
  const { running } = await ready(t, [...words, '-cid', 'mine'])
  await end(running, 'SIGKILL')
  const other = await launch(t, [...words, '-cid', 'other']).ended
  assert.equal(other.code, 1)
  assert.match(other.stderr, /Failed to start: cluster ID "other" does not match recovered value of "mine"\n/)
  assert.equal((await end((await ready(t, [...words, '-cid', 'mine'])).running, 'SIGINT')).code, 0)
})

test('`leveret serve` says in one line that the folder is of another cluster', async (t) => {
  const data = folder(t)
  const words = ['serve', '--port', '0', '--nats-streaming', '0', '--data', data]
  const first = new Running([SERVE, ...words, '--nats-streaming-cluster', 'mine'], {})
  t.after(() => first.signal('SIGKILL'))
  await first.printed(/^ready$/m)
  await end(first, 'SIGINT')
  const { code, stderr } = await new Running([SERVE, ...words], {}).ended
  const problem = 'leveret: cluster ID "test-cluster" does not match recovered value of "mine"\n'
  assert.deepEqual([code, stderr], [1, problem])
})

test('the store FILE is where --dir says, and its store is told', async (t) => {
  const dir = join(folder(t), 'made')
  const { running } = await ready(t, [...LOCAL, '-st', 'file', '--dir', dir])
  assert.match(running.stderr, /STREAM: Message store is FILE\n/)
  assert.ok(running.stderr.includes(`STREAM: Store location: ${dir}\n`))
  assert.equal((await end(running, 'SIGINT')).code, 0)
  assert.ok(readdirSync(dir).length > 0)
})

test('TestRunServerFailureLogsCause: what keeps it from starting is told, and the exit code is 1', async (t) => {
  const dir = folder(t)
  const missing = await launch(t, ['-st', 'file']).ended
  assert.deepEqual(
    [missing.code, missing.stderr],
    [1, 'nats-streaming-server: for FILE stores, root directory must be specified\n'],
  )
  const { running, port } = await ready(t, LOCAL)
  const taken = await launch(t, ['-a', '127.0.0.1', '-p', String(port)]).ended
  assert.equal(taken.code, 1)
  assert.match(taken.stderr, /\[FTL\] STREAM: Failed to start: .*already in use/)
  await end(running, 'SIGINT')
  for (const name of ['server.dat', 'clients.dat']) writeFileSync(join(dir, name), '')
  const original = await launch(t, [...LOCAL, '-st', 'file', '--dir', dir]).ended
  assert.equal(original.code, 1)
  assert.match(original.stderr, /is a store of NATS Streaming itself, which leveret does not read/)
  assert.deepEqual(readdirSync(dir).sort(), ['clients.dat', 'server.dat'])
})

test('a flag that nobody knows ends with the usage and 2, and one that is not done with its reason and 1', async (t) => {
  const unknown = await launch(t, ['-nope']).ended
  assert.equal(unknown.code, 2)
  assert.match(
    unknown.stderr,
    /^(nats-streaming-server: flag provided but not defined: -nope\n)Usage: [\s\S]*\n\1$/,
    'before the usage, and behind it, where it is seen',
  )
  const refused = await launch(t, ['--user', 'a', '--pass', 'b']).ended
  assert.deepEqual([refused.code, refused.stderr.includes('--user') || refused.stderr.includes('-user')], [1, true])
  const help = await launch(t, ['--help']).ended
  assert.equal(help.code, 0)
  assert.match(
    help.stdout.toString(),
    /-cid, --cluster_id <string> +the ID of the cluster, .* \(default test-cluster\)\n/,
  )
  const version = await launch(t, ['-v']).ended
  assert.match(version.stdout.toString(), /^nats-streaming-server version 0\.25\.6, nats-server: v2\.9\.\d+\n$/)
})

test('-t takes what a start takes, and names what it does not as it was written', async (t) => {
  const file = join(folder(t), 'nats.conf')
  const told = async (text: string, words: readonly string[] = []) => {
    writeFileSync(file, text)
    const checked = await launch(t, ['-t', '-c', file, ...words]).ended
    const started = await launch(t, ['-c', file, ...LOCAL, ...words]).ended
    assert.deepEqual([checked.code, started.code], [1, 1])
    const mistake = /^nats-streaming-server: (.*)\n$/.exec(checked.stderr)?.[1]
    assert.ok(mistake !== undefined && started.stderr.includes(mistake), started.stderr)
    return mistake
  }
  const size = 'must be a size like 64KiB or 8MiB, from 1B to 64MiB, not 104857600'
  assert.equal(await told('max_payload: 100MB'), `${file}: max_payload: ${size}`)
  assert.match(await told('max_conn: 0'), /nats\.conf: max_conn: must be a whole number, from /)
  assert.equal(await told('streaming { hb_interval: "5x" }'), `${file}: hb_interval: time: invalid duration "5x"`)
  assert.equal(await told('', ['-ma', '-1s']), 'max age limit cannot be negative (-1s)')
  writeFileSync(file, 'max_payload: 1MB')
  const fine = await launch(t, ['-t', '-c', file]).ended
  assert.deepEqual([fine.code, fine.stderr], [0, 'nats-streaming-server: configuration is valid\n'])
})

test('variables of leveret count where no flag speaks, and open it for native clients as well', async (t) => {
  const env = {
    LEVERET_NATS_STREAMING_CLIENTS_MAX: '1',
    LEVERET_HOST: '0.0.0.0',
    LEVERET_DIALECTS_ONLY: 'false',
    PORT: '0',
  }
  const { running, port } = await ready(t, LOCAL, env)
  const [, native] = await running.printed(/Listening for native clients on 127\.0\.0\.1:(\d+)\n/, 'stderr')
  await publish(port, 'hello')
  const client = await connectNative({ host: '127.0.0.1', port: Number(native) })
  try {
    assert.ok((await client.topics()).includes('channel'))
  } finally {
    await client.close()
  }
  const url = `nats://127.0.0.1:${port}`
  const first = connectStan('test-cluster', 'first', { url })
  await new Promise((resolve) => first.once('connect', resolve))
  const refused = connectStan('test-cluster', 'second', { url })
  const error = await new Promise<unknown>((resolve) => refused.once('error', resolve))
  assert.match(String(error), /too many clients/)
  for (const each of [first, refused]) each.close()
  await end(running, 'SIGINT')
  const wrong = await launch(t, LOCAL, { LEVERET_NATS_STREAMING_CLIENTS_MAX: 'many' }).ended
  assert.equal(wrong.code, 1)
  assert.match(wrong.stderr, /Failed to start: LEVERET_NATS_STREAMING_CLIENTS_MAX: must be a whole number/)
})

test('an address that others reach is taken, with a warning', async (t) => {
  const running = launch(t, ['-p', '-1'])
  await running.printed(/Streaming Server is ready/, 'stderr')
  assert.match(running.stderr, /\[WRN\] STREAM: Whoever reaches 0\.0\.0\.0 may read and write everything/)
  await end(running, 'SIGINT')
})

test('SignalToReOpenLogFile: the log goes on in a new file after the old one was moved away', async (t) => {
  const dir = folder(t)
  const [log, old, pid] = ['log', 'log.old', 'pid'].map((name) => join(dir, name)) as [string, string, string]
  const running = launch(t, [...LOCAL, '-l', log, '-P', pid, '--ports_file_dir', dir])
  await until(() => existsSync(log) && readFileSync(log, 'utf8').includes('Streaming Server is ready'))
  assert.equal(readFileSync(pid, 'utf8'), String(running.child.pid))
  const ports = readdirSync(dir).find((name) => name.endsWith('.ports')) ?? ''
  assert.match(readFileSync(join(dir, ports), 'utf8'), /^\{"nats":\["nats:\/\/127\.0\.0\.1:\d+"\]\}$/)
  renameSync(log, old)
  const told = await launch(t, ['-sl', `reopen=${running.child.pid}`]).ended
  assert.equal(told.code, 0, told.stderr)
  await until(() => existsSync(log) && readFileSync(log, 'utf8').includes('[INF] File log re-opened\n'))
  const quit = await launch(t, ['--signal', `quit=${running.child.pid}`]).ended
  assert.equal(quit.code, 0, quit.stderr)
  const ended = await running.ended
  assert.deepEqual([ended.code, ended.stderr], [0, ''])
  assert.match(readFileSync(log, 'utf8'), /Server Exiting\.\.\n$/)
  assert.deepEqual([existsSync(pid), existsSync(join(dir, ports))], [false, false])
})

test('SignalReload: SIGHUP reads the file again, for what is logged; a mistake in it changes nothing', async (t) => {
  const file = join(folder(t), 'stan.conf')
  writeFileSync(file, 'listen: "127.0.0.1:-1"\nstreaming { sd: false }')
  const { running } = await ready(t, ['-c', file])
  writeFileSync(file, 'listen: "127.0.0.1:-1"\nstreaming { sd: true }')
  running.signal('SIGHUP')
  await running.printed(/\[INF\] Reloaded server configuration/, 'stderr')
  writeFileSync(file, 'streaming {')
  running.signal('SIGHUP')
  await running.printed(/\[ERR\] Failed to reload server configuration: .*"}" is missing/, 'stderr')
  assert.equal((await end(running, 'SIGINT')).code, 0)
})

test('TestRunServerWithCrypto: with a key nothing of a message is readable on the disk', async (t) => {
  const dir = folder(t)
  const plain = [...LOCAL, '-st', 'file', '--dir', dir]
  const words = [...plain, '--encrypt']
  const missing = await launch(t, words).ended
  assert.deepEqual([missing.code, missing.stderr], [1, 'nats-streaming-server: encryption key required\n'])
  const { running, port } = await ready(t, words, { NATS_STREAMING_ENCRYPTION_KEY: 'secret' })
  await publish(port, 'a message for nobody else')
  assert.equal((await end(running, 'SIGINT')).code, 0)
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  const bytes = Buffer.concat(files.map(({ parentPath, name }) => readFileSync(join(parentPath, name))))
  assert.deepEqual([bytes.includes('for nobody else'), bytes.length > 100], [false, true])
})
