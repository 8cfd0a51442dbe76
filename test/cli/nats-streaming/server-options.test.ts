/** What flags and files of nats-streaming-server mean, and what they are refused with. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OptionMistake } from '../../../src/cli/nats-streaming/option-mistake.js'
import { PARAMETERS } from '../../../src/cli/nats-streaming/parameters.js'
import { readServerOptions, type ServerOptions } from '../../../src/cli/nats-streaming/server-options.js'
import { usageText } from '../../../src/cli/nats-streaming/usage.js'
import { friendlyBytes, parseGoDuration, parseNatsSize } from '../../../src/cli/nats-streaming/values.js'
import { ConfigError } from '../../../src/common/errors.js'
import { formatGoDuration } from '../../../src/gateways/nats-streaming/streaming/go-duration.js'
import { DEFAULT_CHANNEL_LIMITS } from '../../../src/gateways/nats-streaming/streaming/store-limits.js'

type Files = Readonly<Record<string, string>>

function asked(words: string, files: Files = {}, env: Record<string, string> = {}) {
  const readFile = (path: string): string => {
    const text = files[path]
    if (text === undefined) throw new Error(`no file ${path}`)
    return text
  }
  return readServerOptions(words === '' ? [] : words.split(' '), { env, readFile })
}

function run(words: string, files: Files = {}, env: Record<string, string> = {}) {
  const answer = asked(words, files, env)
  assert.equal(answer.do, 'run')
  return answer as { options: ServerOptions; notes: readonly string[] }
}

function mistake(words: string, files: Files = {}): string {
  try {
    asked(words, files)
  } catch (error) {
    if (error instanceof OptionMistake || error instanceof ConfigError) return error.message
    throw error
  }
  assert.fail(`${words} was taken`)
}

test('TestDefaultOptions: without flags everything is as the original has it', () => {
  const { options, notes } = run('')
  assert.deepEqual(
    [options.clusterId, options.discoverPrefix, options.store, options.host, options.port, options.limits.channelsMax],
    ['test-cluster', '_STAN.discover', 'MEMORY', '0.0.0.0', 4222, 100],
  )
  assert.deepEqual(options.limits.global, DEFAULT_CHANNEL_LIMITS)
  assert.deepEqual(options.heartbeat, { intervalMs: 30_000, timeoutMs: 10_000, failures: 10 })
  assert.deepEqual(notes, [])
})

test('TestProcessCommandLineArgs: one or two dashes, a blank or an equals sign', () => {
  for (const words of ['-cid x -p 5 -SDV', '--cid=x --port=5 --SDV', '-cluster_id=x --p 5 -SD=true -SV=1']) {
    const { options } = run(words)
    assert.deepEqual(
      [options.clusterId, options.port, options.log.stanDebug, options.log.stanTrace],
      ['x', 5, true, true],
      words,
    )
  }
})

test('what of the flags for the log has no effect is told, of combined ones as well', () => {
  const messages = 'single messages and acks of NATS Streaming are not logged'
  const connections =
    'connections of NATS are not logged; -SD logs the clients of NATS Streaming and their subscriptions'
  const protocol = 'what clients of NATS send and get is not logged'
  for (const [words, told] of [
    ['-SD', []],
    ['-SV', [`-SV is ignored: ${messages}`]],
    ['-SDV', [`-SDV is honoured but for -SV in it: ${messages}`]],
    ['-D', [`-D is ignored: ${connections}`]],
    ['-V', [`-V is ignored: ${protocol}`]],
    ['-DV', [`-DV is ignored: ${protocol}, and ${connections}`]],
    ['-SD=false -SV=false -SDV=false -DV=false', []],
  ] as const) {
    assert.deepEqual(run(words).notes, told, words)
  }
  assert.deepEqual(run('-c a', { a: 'streaming { sd: true, sv: true }' }).notes, [`sv is ignored: ${messages}`])
})

test('a bool takes no word behind it, and the first word that is no flag is not understood', () => {
  assert.equal(mistake('-D false'), 'unrecognized command: false')
  assert.equal(run('-D=false').options.log.debug, false)
})

test('what is no flag, has no value or the wrong one is told in Go’s words', () => {
  assert.equal(mistake('-nope'), 'flag provided but not defined: -nope')
  assert.equal(mistake('-cid'), 'flag needs an argument: -cid')
  assert.equal(mistake('-p x'), 'invalid value "x" for flag -p: parse error')
  assert.equal(mistake('-ma 5'), 'invalid value "5" for flag -ma: parse error')
  assert.equal(mistake('-D=maybe'), 'invalid value "maybe" for flag -D: parse error')
  assert.equal(mistake('--'.padEnd(3, '-')), 'bad flag syntax: ---')
  assert.equal(mistake('-sd x -SDX'), 'flag provided but not defined: -SDX')
})

test('TestFileSliceMaxBytesCmdLine: sizes have suffixes', () => {
  assert.equal(run('-mb 10MB').options.limits.global.bytesMax, 10 * 1024 * 1024)
  assert.equal(run('-mb 10m').options.limits.global.bytesMax, 10_000_000)
  assert.equal(mistake('-mb 12abc'), "mb should be a size, got '12abc'")
})

test('TestStoreTypeUnknown, TestFileStoreMissingDirectory', () => {
  assert.equal(mistake('-st what'), 'unknown store type: what')
  assert.equal(mistake('-st file'), 'for FILE stores, root directory must be specified')
  assert.equal(run('-st file -dir /x').options.dir, '/x')
  assert.equal(run('-dir /x').options.dir, null)
})

test('a cluster ID that no subject can hold is refused', () => {
  const of = (id: string): string => mistake('-c a', { a: `streaming { id: ${JSON.stringify(id)} }` })
  for (const id of ['a b', 'a..b', '.a', '*', 'a.>']) {
    assert.equal(of(id), `cluster ID ${JSON.stringify(id)} cannot be part of a subject`)
  }
  assert.equal(run('-cid a.b-c_1').options.clusterId, 'a.b-c_1')
})

test('negative limits are refused', () => {
  assert.equal(mistake('-mc -1'), 'max channels limit cannot be negative (-1)')
  assert.equal(mistake('-msu=-2'), 'max subscriptions limit cannot be negative (-2)')
  assert.equal(mistake('-mm -3'), 'max messages limit cannot be negative (-3)')
  assert.equal(mistake('-mb -4'), 'max bytes limit cannot be negative (-4)')
  assert.equal(mistake('-ma -1s'), 'max age limit cannot be negative (-1s)')
  assert.equal(mistake('-mi -90m'), 'max inactivity limit cannot be negative (-1h30m0s)')
})

test('TestParseConfigureOptions: defaults, then the file, then the flags; one file serves both parts', () => {
  const files = { a: 'port: 5000\nserver_name: me\nstreaming: { id: from_file, hbi: "15s", store_limits: { mc: 7 } }' }
  for (const words of ['-c a', '-sc a']) {
    const { options } = run(words, files)
    assert.deepEqual(
      [options.clusterId, options.heartbeat.intervalMs, options.limits.channelsMax],
      ['from_file', 15_000, 7],
    )
  }
  assert.equal(run('-c a', files).options.port, 5000)
  assert.deepEqual(
    [run('-c a -cid mine -p 1', files).options.clusterId, run('-c a -p 1', files).options.port],
    ['mine', 1],
  )
  const two = { nats: 'port: 5000', stan: 'id: own\nstore: memory' }
  const { options } = run('-c nats -sc stan', two)
  assert.deepEqual([options.port, options.clusterId], [5000, 'own'])
})

test('TestParseWrongTypes: a value of the wrong kind is told with both', () => {
  const of = (text: string): string => mistake('-sc a', { a: text }).replace(/^a: /, '')
  assert.equal(of('id: 1'), 'parameter "id" value is expected to be string, got int64')
  assert.equal(of('sd: x'), 'parameter "sd" value is expected to be bool, got string')
  assert.equal(of('hbf: "x"'), 'parameter "hbf" value is expected to be int64, got string')
  assert.equal(of('hbi: 5'), 'parameter "hbi" value is expected to be string, got int64')
  assert.equal(of('hbi: "5"'), 'hbi: time: invalid duration "5"')
  assert.equal(mistake('-sc a', { a: 'hb_interval: "5x"' }), 'a: hb_interval: time: invalid duration "5x"')
  assert.equal(of('store_limits: 1'), 'expected store limits to be a map/struct, got 1')
  assert.equal(of('store_limits { channels: 1 }'), 'expected per channel limits to be a map/struct, got 1')
  assert.equal(of('store_limits { channels { foo: 1 } }'), 'expected channel limits to be a map/struct, got 1')
  assert.equal(of('streaming: 1'), 'expected streaming section to be a map/struct, got 1')
  assert.equal(of('file: 1'), 'expected file options to be a map/struct, got 1')
})

test('TestParsePerChannelLimitsSetToZero: 0 in a channel’s block is no limit, and what is missing is inherited', () => {
  const files = { a: 'store_limits { mm: 5, msu: 0, channels { "foo.>": { mm: 0, ma: "1h" }, bar: {} } }' }
  const { limits } = run('-sc a', files).options
  assert.deepEqual(
    ['foo.a', 'bar', 'x'].map((channel) => [limits.of(channel).messagesMax, limits.of(channel).ageMsMax]),
    [
      [null, 3_600_000],
      [5, null],
      [5, null],
    ],
  )
  assert.equal(limits.global.subscriptionsMax, null)
  assert.equal(run('-mc 0').options.limits.channelsMax, null)
})

test('what is not done is refused with a reason, and what is not needed ignored with one', () => {
  for (const words of [
    '-ns nats://x:4222',
    '-ft_group x',
    '-clustered',
    '--routes nats://x',
    '--cluster nats://x',
    '--user x',
    '--auth x',
    '--tls',
    '-st sql',
    '-file_slice_archive_script x',
  ]) {
    assert.match(mistake(words), /: ./, words)
  }
  assert.match(mistake('-c a', { a: 'authorization { user: a, password: b }' }), /^a: "authorization": /)
  assert.match(mistake('-sc a', { a: 'streaming { cluster { node_id: a } }' }), /^a: cluster: there is no clustering/)
  assert.match(mistake('-sc a', { a: 'streaming { partitioning: true }' }), /^a: partitioning: /)
  assert.deepEqual(run('-clustered=false --tls=false').notes, [])
  assert.deepEqual(run('-m 8222 -file_crc').notes.length, 2)
  assert.match(run('-m 8222').notes[0] ?? '', /^-m is ignored: /)
})

test('encryption needs a key, of the environment before that of the flag', () => {
  assert.equal(mistake('-encrypt'), 'encryption key required')
  assert.equal(mistake('-encryption_key k -encryption_cipher des'), 'encryption cipher not supported')
  assert.deepEqual(run('-encryption_key k').options.encryption, { cipher: 'aes-256-gcm', key: 'k' })
  const env = { NATS_STREAMING_ENCRYPTION_KEY: 'e' }
  assert.deepEqual(run('-encrypt -encryption_cipher chacha -encryption_key k', {}, env).options.encryption, {
    cipher: 'chacha20-poly1305',
    key: 'e',
  })
})

test('some flags end the matter at once', () => {
  assert.equal(asked('-v').do, 'version')
  assert.equal(asked('version').do, 'version')
  assert.equal(asked('-cid x -h').do, 'help')
  assert.equal(asked('help').do, 'help')
  assert.equal(asked('-help_tls').do, 'help-tls')
  assert.deepEqual(asked('-sl quit=12'), { do: 'signal', signal: 'quit=12' })
  assert.equal(asked('-t').do, 'test-config')
})

test('an address is a flag, or keys of the NATS part', () => {
  assert.deepEqual([run('-a 127.0.0.1 -p -1').options.host, run('-p -1').options.port], ['127.0.0.1', 0])
  const { options } = run('-c a', {
    a: 'listen: "127.0.0.1:4333"\nmax_payload: 2MB\nping_interval: 20\nwrite_deadline: "5s"',
  })
  assert.deepEqual([options.host, options.port], ['127.0.0.1', 4333])
  assert.deepEqual(
    [options.nats.maxPayload, options.nats.pingInterval, options.nats.writeDeadline, options.nats.pingMax],
    [2 * 1024 * 1024, 20_000, 5_000, null],
  )
})

test('no flag means two things, and each says what it is for, or why it is not honoured', () => {
  const flags = PARAMETERS.flatMap((parameter) => parameter.flags)
  assert.equal(new Set(flags).size, flags.length)
  for (const { name, fate } of PARAMETERS) {
    assert.match(Object.values(fate).join(), /\w+ \w+/, name)
  }
})

test('the usage has every flag, and what a flag that is honoured is for', () => {
  const lines = usageText().split('\n')
  for (const { flags, fate } of PARAMETERS) {
    for (const flag of flags) {
      const shown = new RegExp(`(?:^| |/)--?${flag}(?=[ ,/]|$)`)
      const found = lines.filter((line) => shown.test(line.split('  (')[0] ?? ''))
      assert.equal(found.length, 1, `-${flag}: ${found.join('\n')}`)
      if ('honoured' in fate) assert.ok(found[0]?.endsWith(fate.honoured), flag)
    }
  }
  for (const line of lines) assert.ok(line.length <= 140, line)
})

test('a default that the usage names is what holds without the flag', () => {
  const counted = PARAMETERS.flatMap(({ flags: [flag], fate }) => {
    const [, value] = /\(default (\S+)\)$/.exec('honoured' in fate ? fate.honoured : '') ?? []
    if (flag === undefined || value === undefined) return []
    const { options, notes } = run(`-${flag}=${value}`)
    assert.deepEqual({ options: { ...options, shown: new Map() }, notes }, { options: run('').options, notes: [] })
    return [flag]
  })
  assert.ok(counted.length > 20, counted.join())
})

test('durations and sizes are as Go and NATS write them', () => {
  assert.deepEqual(['300ms', '1m30s', '24h', '0s', '0', '1.5h', '-2s', '5', 's', '', '1h 2m'].map(parseGoDuration), [
    300,
    90_000,
    86_400_000,
    0,
    0,
    5_400_000,
    -2_000,
    null,
    null,
    null,
    null,
  ])
  assert.deepEqual(
    ['24h0m0s', '1m30s', '0s', '500ms'].map((text) => formatGoDuration(parseGoDuration(text) ?? -1)),
    ['24h0m0s', '1m30s', '0s', '500ms'],
  )
  assert.deepEqual(['1', '1k', '1Kb', '1ki', '1KiB', '1t', '1b', 'k', '1.5m'].map(parseNatsSize), [
    1,
    1_000,
    1_024,
    1_024,
    1_024,
    1e12,
    null,
    null,
    null,
  ])
  assert.deepEqual([1_024_000_000, 1_023, 1_024, 2 ** 40].map(friendlyBytes), [
    '976.56 MB',
    '1023 B',
    '1.00 KB',
    '1.00 TB',
  ])
})
