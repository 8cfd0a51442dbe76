/**
 * The client commands as processes: bytes, exit codes, messages, signals.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runLeveret, type Server, startServer } from '../helpers/leveret-process.js'

const { version } = createRequire(import.meta.url)('../../package.json') as { version: string }

describe('a command line that is not understood', () => {
  const wrong: readonly (readonly [string, readonly string[]])[] = [
    ['an unknown command', ['serves']],
    ['an unknown flag', ['serve', '--prot', '1']],
    ['no topic', ['pub']],
    ['a topic too many', ['sub', 'a', 'b']],
    ['a place that is none', ['sub', 'a', '--from', 'somewhere']],
    ['a port that is none', ['topics', 'list', '--port', '0']],
    ['a key without --ndjson', ['pub', 'a', '--key', 'id']],
    ['a level that is none', ['pub', 'a', '--durability', 'maybe']],
  ]
  for (const [what, words] of wrong) {
    test(`ends with 2: ${what}`, async () => {
      const { code, stdout, stderr } = await runLeveret(words)
      assert.equal(code, 2, stderr)
      assert.match(stderr, /^leveret: /)
      assert.match(stderr, /--help/)
      assert.equal(stdout.toString(), '')
    })
  }

  test('ends with 2 when PORT is no port', async () => {
    const { code, stderr } = await runLeveret(['topics', 'list'], '', { PORT: 'http' })
    assert.equal(code, 2)
    assert.match(stderr, /PORT is "http"/)
  })
})

test('tells its version and its help, and ends with 0', async () => {
  const shown = await runLeveret(['--version'])
  assert.deepEqual([shown.code, shown.stdout.toString()], [0, `${version}\n`])
  for (const words of [['--help'], ['help', 'serve'], ['pub', '--help'], ['topics', 'create', '--help']]) {
    const help = await runLeveret(words)
    assert.equal(help.code, 0, words.join(' '))
    assert.match(help.stdout.toString(), /^Usage: leveret /)
    assert.equal(help.stderr, '')
  }
})

test('says what to do when there is no server', async () => {
  const server = await startServer()
  await server.stop()
  for (const words of [
    ['topics', 'list'],
    ['pub', 'a'],
    ['sub', 'a'],
  ]) {
    const { code, stdout, stderr } = await server.leveret(words)
    assert.equal(code, 1, words.join(' '))
    assert.match(stderr, new RegExp(`^leveret: .*127\\.0\\.0\\.1:${server.port}.*\\n.*leveret serve`))
    assert.equal(stdout.toString(), '')
  }
})

describe('client commands', () => {
  let server: Server
  before(async () => {
    server = await startServer()
  })
  after(() => server.stop())

  const create = (topic: string, ...words: string[]): Promise<unknown> =>
    server.succeed(['topics', 'create', topic, ...words])

  test('carry lines of any bytes from standard input to standard output', async () => {
    await create('bytes', '--retain', '1h')
    const input = Buffer.from('plain\n\ncarriage\r\nzero \0 and \xff\xfe\n{"not": json\nlast\n', 'latin1')
    const published = await server.succeed(['pub', 'bytes'], input)
    assert.match(published.stdout.toString(), /^published 6 records to "bytes": 6 stored, 0 duplicates, /)
    const { stdout } = await server.succeed(['sub', 'bytes', '--count', '6'])
    assert.deepEqual(stdout, input)
  })

  test('publish nothing from an empty input, and a last line without a newline', async () => {
    const empty = await server.succeed(['pub', 'empty'], '')
    assert.match(empty.stdout.toString(), /^published 0 records /)
    await create('open', '--retain', '1h')
    await server.succeed(['pub', 'open'], 'a\nb')
    assert.equal((await server.succeed(['sub', 'open', '--until', '2'])).stdout.toString(), 'a\nb\n')
  })

  test('carry a line that is larger than a frame of the default batch, and refuse one larger than any frame', async () => {
    await create('large', '--retain', '1h')
    const large = `${'x'.repeat(3_000_000)}\n`
    await server.succeed(['pub', 'large'], large)
    assert.equal((await server.succeed(['sub', 'large', '--count', '1'])).stdout.toString(), large)
    const { code, stderr } = await server.leveret(['pub', 'large'], `${'x'.repeat(17_000_000)}\n`)
    assert.equal(code, 1)
    assert.match(stderr, /^leveret: /m)
  })

  test('print records whole with --json, and bytes that are no text in base64', async () => {
    await create('whole', '--retain', '1h')
    await server.succeed(['pub', 'whole', '--ndjson', '--key', 'id'], '{"id":"é","n":1}\n{"id":7}\n{"n":2}\n')
    await server.succeed(['pub', 'whole'], Buffer.from([0xff, 0x0a]))
    const { stdout } = await server.succeed(['sub', 'whole', '--json', '--count', '4'])
    const records = stdout
      .toString()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    const withoutTime = records.map(({ timestampMs, ...rest }) => {
      assert.ok(Number.isSafeInteger(timestampMs))
      return rest
    })
    assert.deepEqual(withoutTime, [
      { partition: 0, offset: 0, key: 'é', payload: '{"id":"é","n":1}' },
      { partition: 0, offset: 1, key: '7', payload: '{"id":7}' },
      { partition: 0, offset: 2, payload: '{"n":2}' },
      { partition: 0, offset: 3, payloadBase64: '/w==' },
    ])
  })

  test('tell of lines without the key field, and stop at a line that is not JSON', async () => {
    await create('keys', '--retain', '1h')
    const some = await server.succeed(['pub', 'keys', '--ndjson', '--key', 'id'], '{"id":1}\n\n{"other":1}\n')
    assert.match(some.stderr, /^leveret: warning: 1 lines? ha(?:s|ve) no field "id"/m)
    const { code, stdout, stderr } = await server.leveret(['pub', 'keys', '--ndjson'], '{"id":1}\nno\n{"id":2}\n')
    assert.equal(code, 1)
    assert.match(stdout.toString(), /^published 1 records? /)
    assert.match(stderr, /^leveret: line 2 of the input is not JSON$/m)
  })

  test('warn when the topic keeps nothing and nobody listens, and only then', async () => {
    const unheard = await server.succeed(['pub', 'unheard'], 'a\n')
    assert.match(unheard.stderr, /^leveret: warning: topic "unheard" keeps nothing and nobody is subscribed/)
    await create('kept', '--retain', '1h')
    assert.equal((await server.succeed(['pub', 'kept'], 'a\n')).stderr, '')
    const listener = await server.subscriber('heard', '--count', '1')
    assert.equal((await server.succeed(['pub', 'heard'], 'a\n')).stderr, '')
    const { code, stdout } = await listener.ended
    assert.deepEqual([code, stdout.toString()], [0, 'a\n'])
  })

  test('print live records as they come, until interrupted', async () => {
    const listener = await server.subscriber('live', '--from', 'latest')
    await server.succeed(['pub', 'live'], 'one\n')
    await listener.printed(/^one\n$/)
    await server.succeed(['pub', 'live'], 'two\n')
    await listener.printed(/^one\ntwo\n$/)
    listener.signal('SIGINT')
    const { code, stderr } = await listener.ended
    assert.deepEqual([code, stderr], [0, ''])
  })

  test('end a subscription quietly when its reader goes away', async () => {
    await create('piped', '--retain', '1h')
    await server.succeed(['pub', 'piped'], 'x'.repeat(99).concat('\n').repeat(20_000))
    const listener = server.start(['sub', 'piped'])
    await listener.printed(/x\n/)
    listener.child.stdout.destroy()
    const { code, stderr } = await listener.ended
    assert.deepEqual([code, stderr], [0, ''])
  })

  test('give a reader that pauses every record in order', async () => {
    await create('paused', '--retain', '1h')
    const input = Array.from({ length: 50_000 }, (_, index) => `${index} ${'y'.repeat(index % 90)}\n`).join('')
    await server.succeed(['pub', 'paused'], input)
    const listener = server.start(['sub', 'paused', '--count', '50000'])
    await listener.printed(/^0 \n/)
    listener.child.stdout.pause()
    // Meanwhile another reader takes everything: the paused one holds nobody up.
    assert.equal((await server.succeed(['sub', 'paused', '--count', '50000'])).stdout.toString(), input)
    listener.child.stdout.resume()
    const { code, stdout } = await listener.ended
    assert.equal(code, 0)
    assert.ok(stdout.toString() === input, 'the same bytes')
  })

  test('stop publishing when interrupted, and say what was published', async () => {
    await create('interrupted', '--retain', '1h')
    const publisher = server.start(['pub', 'interrupted'])
    publisher.child.stdin.write('one\ntwo\n')
    const reader = await server.succeed(['sub', 'interrupted', '--count', '2'])
    assert.equal(reader.stdout.toString(), 'one\ntwo\n')
    publisher.signal('SIGINT')
    const { code, stdout, stderr } = await publisher.ended
    assert.equal(code, 1)
    assert.match(stdout.toString(), /^published 2 records /)
    assert.match(stderr, /^leveret: interrupted$/m)
  })

  test('tell of records that are gone', async () => {
    await create('trimmed', '--retain-records', '2')
    // Twice as much as the ring of the topic holds.
    const half = Array.from({ length: 20_000 }, (_, index) => `${index}\n`).join('')
    await server.succeed(['pub', 'trimmed'], half)
    await server.succeed(['pub', 'trimmed'], half)
    const { stdout, stderr } = await server.succeed(['sub', 'trimmed', '--from', '0', '--until', '40000'])
    assert.equal(stdout.toString(), '19998\n19999\n')
    assert.match(stderr, /^leveret: warning: offsets 0 to 39997 of partition 0 will not come \(trimmed\)$/m)
  })

  test('create, list and describe topics', async () => {
    await create('orders', '--retain', '1h', '--retain-bytes', '8MiB', '--compact', '10m', '--partitions', '2')
    await create('orders', '--retain', '1h', '--retain-bytes', '8MiB', '--compact', '10m', '--partitions', '2')
    const conflict = await server.leveret(['topics', 'create', 'orders', '--retain', 'forever'])
    assert.equal(conflict.code, 1)
    assert.match(conflict.stderr, /^leveret: .*orders/)

    const names = (await server.succeed(['topics', 'list'])).stdout.toString().trimEnd().split('\n')
    assert.ok(names.includes('orders'))
    assert.deepEqual(JSON.parse((await server.succeed(['topics', 'list', '--json'])).stdout.toString()), names)

    const described = (await server.succeed(['topics', 'describe', 'orders'])).stdout.toString()
    assert.match(described, /^topic +orders$/m)
    assert.match(described, /^retention +at most 1h, 8MiB$/m)
    assert.match(described, /^compaction +10m$/m)
    assert.equal(described.match(/^partition \d/gm)?.length, 2)
    await server.succeed(['pub', 'orders'], 'x'.repeat(1_500_000))
    const sized = (await server.succeed(['topics', 'describe', 'orders'])).stdout.toString()
    assert.match(sized, /^partition \d {2}offsets 0 to 1, 1\.4MiB$/m)
    const json = (await server.succeed(['topics', 'describe', 'orders', '--json'])).stdout.toString()
    const { partitions } = JSON.parse(json) as { partitions: { bytes: number }[] }
    assert.ok(partitions.some(({ bytes }) => bytes >= 1_500_000))

    const unknown = await server.leveret(['topics', 'describe', 'nowhere'])
    assert.deepEqual([unknown.code, unknown.stderr], [1, 'leveret: topic "nowhere" does not exist\n'])
    assert.equal(
      (await server.leveret(['topics', 'create', 'x', '--retain', 'none', '--retain-bytes', '1KiB'])).code,
      1,
    )
  })
})

test('topics describe shows which topics keep the newest record of each key', async (t) => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-cli-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  const server = await startServer(['--data', data])
  try {
    await server.succeed(['topics', 'create', 'prices', '--keep-latest'])
    await server.succeed(['topics', 'create', 'orders', '--retain', 'forever'])
    const described = async (name: string) => (await server.succeed(['topics', 'describe', name])).stdout.toString()
    assert.match(await described('prices'), /^keep latest {2}of each key the newest record; /m)
    assert.doesNotMatch(await described('orders'), /keep latest/)
  } finally {
    await server.stop()
  }
})
