/** The syntax of NATS' configuration files, as its documentation shows it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConfigValue, parseConfig } from '../../../src/cli/nats-streaming/config-syntax.js'
import { OptionMistake } from '../../../src/cli/nats-streaming/option-mistake.js'
import { fc } from '../../helpers/fast-check.js'

const NOTHING = {
  env: {},
  include: (path: string): string => {
    throw new Error(`no file ${path}`)
  },
}

function parsed(text: string, sources = NOTHING): unknown {
  return plain(parseConfig('a.conf', text, sources))
}

function plain(value: ConfigValue): unknown {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)]))
  return Array.isArray(value) ? value.map(plain) : value
}

test('a colon, an equals sign or a blank stands between key and value', () => {
  assert.deepEqual(parsed('a: 1\nb = 2\nc 3\n"d e": 4'), { a: 1, b: 2, c: 3, 'd e': 4 })
})

test('the example of a streaming server is read as it is meant', () => {
  const text = `port: 4222
http: 8222
streaming {
  cluster_id: my_cluster
  store: file
  dir: "/datastore"
  store_limits {
    max_channels: 50
    max_age: "24h"
    channels { "orders.>": { max_msgs: 0, max_bytes: 10MB }, "tmp": { max_inactivity: "1h" } }
  }
  file_options { compact_interval: 120, sync: true, auto_sync: "30s" }
  hb_interval: "15s"
}
`
  assert.deepEqual(parsed(text), {
    port: 4222,
    http: 8222,
    streaming: {
      cluster_id: 'my_cluster',
      store: 'file',
      dir: '/datastore',
      store_limits: {
        max_channels: 50,
        max_age: '24h',
        channels: { 'orders.>': { max_msgs: 0, max_bytes: 10 * 1024 * 1024 }, tmp: { max_inactivity: '1h' } },
      },
      file_options: { compact_interval: 120, sync: true, auto_sync: '30s' },
      hb_interval: '15s',
    },
  })
})

test('comments, commas and semicolons may stand wherever an entry ends', () => {
  assert.deepEqual(parsed('# first\na: 1 // one\nb: 2; c: 3, d: 4 # four\n// last'), { a: 1, b: 2, c: 3, d: 4 })
})

test('words are booleans, numbers or sizes if they look like it, and strings otherwise', () => {
  const text =
    'a: yes\nb: OFF\nc: True\nd: -5\ne: 1.5\nf: 10k\ng: 10KB\nh: 1gib\ni: 10.0.0.1\nj: nats://x:4222/a//b\nk: 30s'
  assert.deepEqual(parsed(text), {
    a: true,
    b: false,
    c: true,
    d: -5,
    e: 1.5,
    f: 10_000,
    g: 10_240,
    h: 1_073_741_824,
    i: '10.0.0.1',
    j: 'nats://x:4222/a//b',
    k: '30s',
  })
})

test('strings stand between quotes, with escapes between double ones, or in a block of lines', () => {
  assert.deepEqual(parsed(`a: "x\\ty\\x41\\""\nb: 'x\\ty'\nc: (\n one\n two\n)\nd: 1`), {
    a: 'x\tyA"',
    b: 'x\\ty',
    c: ' one\n two\n',
    d: 1,
  })
})

test('an array has its values behind commas or on lines of their own', () => {
  assert.deepEqual(parsed('a: [1, two, "three"]\nb: [\n x\n y # why\n]\nc: [{d: 1}, [2]]'), {
    a: [1, 'two', 'three'],
    b: ['x', 'y'],
    c: [{ d: 1 }, [2]],
  })
})

test('a variable is a key before it, nearest first, or else of the environment', () => {
  const sources = { ...NOTHING, env: { OUT: '10MB', USER: 'me' } }
  assert.deepEqual(parsed('a: 1\nm { a: 2\n b: $a\n c: $OUT }\nd: $a\ne: $USER', sources), {
    a: 1,
    m: { a: 2, b: 2, c: 10 * 1024 * 1024 },
    d: 1,
    e: 'me',
  })
  assert.throws(() => parsed('a: $NOWHERE'), { message: 'a.conf: line 1: the variable "NOWHERE" is nowhere set' })
  assert.throws(() => parsed('a: $B', { ...NOTHING, env: { B: '$B' } }), /stands for itself/)
  assert.deepEqual(parsed('password: $2a$11$abc'), { password: '$2a$11$abc' })
})

test('a file is included where it is named', () => {
  const files: Record<string, string> = { './b.conf': 'b: 2\nx: $a', './loop.conf': 'include ./loop.conf' }
  const sources = { env: {}, include: (path: string) => files[path] ?? '' }
  assert.deepEqual(parsed('a: 1\ninclude ./b.conf\nc: 3', sources), { a: 1, b: 2, x: 1, c: 3 })
  assert.throws(() => parsed('include ./loop.conf', sources), /files that include each other/)
})

test('a mistake is told with file and line', () => {
  const mistakes: readonly (readonly [string, string])[] = [
    ['a: 1\nb {\n c: 2\n', 'line 4: "}" is missing'],
    ['a: [1, 2', 'line 1: "]" is missing'],
    ['a: "x', 'line 1: a string without its end (")'],
    ['a:\nb: 1', 'line 1: "a" has no value'],
    ['a: 1 b: 2', 'line 1: unexpected "b"'],
    ['}', 'line 1: unexpected "}"'],
    ['a: "\\q"', 'line 1: "\\q" is no escape'],
    ['a: (\nx', 'line 1: ")" is missing'],
  ]
  for (const [text, message] of mistakes) assert.throws(() => parsed(text), { message: `a.conf: ${message}` }, text)
})

test('any text is read or refused, and nothing else happens', () => {
  const alphabet = [...' \n\t{}[]:=,;"\'#/$()\\', 'a', 'include', 'b', '1', 'k', 'true', '//']
  const text = fc.array(fc.constantFrom(...alphabet), { maxLength: 40 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(text, (config) => {
      try {
        parseConfig('a.conf', config, { env: { a: '1', b: '$b' }, include: () => 'a: 1' })
      } catch (error) {
        assert.ok(error instanceof OptionMistake, String(error))
      }
    }),
    { numRuns: 5_000 },
  )
})

test('maps in maps in maps end the reading before they end the stack', () => {
  assert.throws(() => parsed('a{'.repeat(100_000)), /within too many others/)
  assert.throws(() => parsed(`a:${'['.repeat(100_000)}`), /within too many others/)
})
