import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../src/common/errors.js'
import { configWith, defaultConfig, isLoopback, loadConfig } from '../../src/config/load.js'
import { CONFIG_KEYS, type Config, envOf, flagOf, SETTINGS } from '../../src/config/schema.js'

type Sources = Parameters<typeof loadConfig>[0]

function load(sources: Partial<Sources> & { readonly file?: unknown }): Config {
  const { file, ...rest } = sources
  const flags = file === undefined ? {} : { config: 'leveret.json' }
  return loadConfig({ env: {}, readFile: () => JSON.stringify(file), ...rest, flags: { ...flags, ...rest.flags } })
}

function mistakesOf(work: () => unknown): readonly string[] {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error))
    return error.mistakes
  }
  return assert.fail('nothing was refused')
}

test('starts with nothing set on loopback, port 8889, with a log in the current folder', () => {
  const config = load({})
  assert.deepEqual(config, defaultConfig())
  const { host, port, store, data, insecure, maxFrameBytes } = config
  assert.deepEqual(
    { host, port, store, data, insecure, maxFrameBytes },
    { host: '127.0.0.1', port: 8889, store: 'log', data: './leveret-data', insecure: false, maxFrameBytes: 16777216 },
  )
})

test('what is usual counts where nothing else is said', () => {
  const usual = { drainMs: 5, topicsMax: 5, port: 5 }
  const config = load({ usual, file: { topicsMax: 1 }, env: { LEVERET_DRAIN: '2s' } })
  assert.deepEqual([config.port, config.drainMs, config.topicsMax], [5, 2000, 1])
})

test('a flag wins over the environment, and the environment over the file', () => {
  const file = { port: 1, drainMs: '1s', topicsMax: 1 }
  const config = load({ file, env: { PORT: '2', LEVERET_DRAIN: '2s' }, flags: { port: '3' } })
  assert.deepEqual([config.port, config.drainMs, config.topicsMax], [3, 2000, 1])
})

test('finds the file through the environment too', () => {
  const seen: string[] = []
  const readFile = (path: string): string => {
    seen.push(path)
    return '{"port": 5}'
  }
  assert.equal(loadConfig({ env: { LEVERET_CONFIG: 'a.json' }, flags: {}, readFile }).port, 5)
  assert.equal(loadConfig({ env: { LEVERET_CONFIG: 'a.json' }, flags: { config: 'b.json' }, readFile }).port, 5)
  assert.deepEqual(seen, ['a.json', 'b.json'])
})

test('an empty variable counts as absent, and one that no setting has is left alone', () => {
  assert.deepEqual(load({ env: { PORT: '', LEVERET_SERVICE_HOST: '10.0.0.1' } }), defaultConfig())
})

test('lists all mistakes of all sources at once', () => {
  const mistakes = mistakesOf(() =>
    load({
      file: { prot: 1, port: 'abc', 'max-frame-bytes': 1 },
      env: { LEVERET_DRAIN: 'soon', LEVERET_INSECURE: 'maybe' },
      flags: { maxFrameBytes: '1GiB', host: '0.0.0.0' },
    }),
  )
  assert.deepEqual(mistakes, [
    'leveret.json: prot: there is no such setting',
    'leveret.json: port: must be a whole number, from 0 to 65535, not "abc"',
    'leveret.json: max-frame-bytes: there is no such setting; "maxFrameBytes" is meant, perhaps',
    'LEVERET_INSECURE: must be true or false, not "maybe"',
    'LEVERET_DRAIN: must be a duration like 500ms, 10s or 1h, from 0 to 1h, not "soon"',
    '--max-frame-bytes: must be a size like 64KiB or 8MiB, from 1KiB to 268435455B, not "1GiB"',
    'host: "0.0.0.0" can be reached from other machines, and anybody there could read and write everything; ' +
      'say --insecure if that is what you want',
  ])
})

test('a file that is missing, or is no JSON object, is a mistake that names it', () => {
  const missing = mistakesOf(() => loadConfig({ env: {}, flags: { config: '/nowhere/leveret.json' } }))
  assert.equal(missing.length, 1)
  assert.match(missing[0] ?? '', /^\/nowhere\/leveret\.json: cannot be read: ENOENT/)
  const broken = mistakesOf(() => loadConfig({ env: {}, flags: { config: 'x' }, readFile: () => '{' }))
  assert.match(broken[0] ?? '', /^x: cannot be read: /)
  assert.deepEqual(
    mistakesOf(() => load({ file: [1] })),
    ['leveret.json: must hold a JSON object'],
  )
})

test('a store that is planned is told apart from one that nobody knows', () => {
  for (const store of ['postgres://db/leveret', 'nats://localhost', 'kafka://a:9092']) {
    const [mistake = ''] = mistakesOf(() => load({ flags: { store } }))
    assert.match(mistake, /^--store: "(?:postgres|nats|kafka)" is planned but not in this version/)
  }
  assert.deepEqual(
    mistakesOf(() => load({ flags: { store: 'paper' } })),
    ['--store: must be one of log, memory, not "paper"'],
  )
})

test('without the native listener there must be another one', () => {
  assert.deepEqual(
    mistakesOf(() => load({ flags: { dialectsOnly: true } })),
    ['dialectsOnly: no dialect has a port, so there would be nothing to listen on'],
  )
  assert.equal(load({ flags: { dialectsOnly: true, meilies: 0 } }).dialectsOnly, true)
})

test('listens beyond loopback only when told that this is meant', () => {
  for (const host of ['0.0.0.0', '::', '192.168.0.1', 'example.org', '127.0.0.1.example.org']) {
    assert.equal(mistakesOf(() => load({ flags: { host } })).length, 1, host)
    assert.equal(load({ flags: { host, insecure: true } }).host, host)
  }
  for (const host of ['127.0.0.1', '127.8.9.1', '::1', 'localhost', 'LOCALHOST']) assert.ok(isLoopback(host), host)
})

test('reads a default retention from its words, and from typed limits', () => {
  const read = (value: unknown): unknown => load({ file: { defaultRetention: value } }).defaultRetention
  assert.equal(read('none'), 'none')
  assert.deepEqual(read('forever'), { ageMs: null, bytes: null, records: null })
  assert.deepEqual(read('1h'), { ageMs: 3_600_000, bytes: null, records: null })
  assert.deepEqual(read({ records: 5 }), { ageMs: null, bytes: null, records: 5 })
  for (const wrong of ['sometimes', '10', 1, null, { records: 0 }, { colour: 1 }, []]) {
    assert.equal(mistakesOf(() => read(wrong)).length, 1, JSON.stringify(wrong))
  }
})

test('a listener is off, on its own port, or on the port that it is given', () => {
  const meilies = (value: string | boolean | number): number | null => load({ flags: { meilies: value } }).meilies
  assert.equal(load({}).meilies, null)
  assert.deepEqual([meilies(true), meilies('on'), meilies('off'), meilies('7'), meilies(0)], [6480, 6480, null, 7, 0])
  assert.equal(load({ env: { LEVERET_MEILIES: 'on' } }).meilies, 6480)
  assert.equal(configWith({ meilies: null }).meilies, null)
  assert.deepEqual(
    mistakesOf(() => load({ flags: { meilies: '65536' } })),
    ['--meilies: must be a port from 0 to 65535, on or off, not "65536"'],
  )
})

test('checks typed values as it checks text', () => {
  assert.equal(configWith({ port: 0, maxFrameBytes: 2048 }).maxFrameBytes, 2048)
  assert.deepEqual(
    mistakesOf(() => configWith({ port: -1, windowMax: 1.5 })),
    [
      'port: must be a whole number, from 0 to 65535, not -1',
      'windowMax: must be a whole number, from 1 to 4294967295, not 1.5',
    ],
  )
})

test('every setting can be read from each source by its own name', () => {
  const flags = CONFIG_KEYS.map(flagOf)
  const variables = CONFIG_KEYS.map(envOf)
  assert.equal(new Set(flags).size, CONFIG_KEYS.length)
  assert.equal(new Set(variables).size, CONFIG_KEYS.length)
  for (const key of CONFIG_KEYS) {
    const setting = SETTINGS[key]
    assert.match(setting.doc, /\.$/, key)
    if ('min' in setting) {
      const unit = setting.type === 'duration' ? 'ms' : ''
      assert.equal(load({ file: { [key]: setting.min } })[key], setting.min, key)
      assert.equal(load({ env: { [envOf(key)]: `${setting.max}${unit}` } })[key], setting.max, key)
      assert.ok(setting.default >= setting.min && setting.default <= setting.max, key)
      assert.equal(mistakesOf(() => load({ flags: { [key]: `${setting.max + 1}${unit}` } })).length, 1, key)
    }
  }
})

test('the configuration cannot be changed afterwards', () => {
  assert.ok(Object.isFrozen(defaultConfig()))
})
