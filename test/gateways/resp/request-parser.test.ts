import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestParser } from '../../../src/gateways/resp/request-parser.js'
import { fc } from '../../helpers/fast-check.js'
import { arbStream, arbWord, fuzzParser, LIMITS, parse, whole } from '../../helpers/resp-parsing.js'
import { requestOf } from '../../helpers/resp-values.js'
import { SEED as seed } from '../../helpers/seed.js'

test('makes the same of whatever comes however it is cut, and nothing but requests and a fault', (t) => {
  t.diagnostic(`seed ${seed}`)
  const { refused, requests } = fuzzParser(seed, 3000)
  assert.ok(refused > 500 && requests > 1000, `${refused} refused, ${requests} requests`)
})

test('refuses no stream that is framed as it should be', () => {
  fc.assert(
    fc.property(arbStream, (bytes) => {
      assert.equal(whole(bytes).fault, null)
    }),
  )
})

test('gives back the words that a client wrote', () => {
  fc.assert(
    fc.property(fc.array(fc.array(arbWord, { minLength: 1, maxLength: 8 }), { maxLength: 5 }), (requests) => {
      const { requests: parsed, fault } = parse([Buffer.concat(requests.map((words) => requestOf(...words)))])
      assert.equal(fault, null)
      const expected = requests.map((words) => words.map((bytes) => Buffer.from(bytes).toString('latin1')))
      assert.deepEqual(
        parsed.map(({ words }) => words),
        expected,
      )
    }),
  )
})

const FAULTS: readonly (readonly [string, string, string])[] = [
  ['a type of version 3', '*1\r\n_\r\n', 'prefix 95'],
  ['a sign that no type has', '\x01', 'prefix 1'],
  ['a length that is no number', '*x\r\n', 'integer not a decimal number'],
  ['a length without digits', '*1\r\n$\r\n', 'integer no digits'],
  ['a length of many digits', `*1\r\n$${'0'.repeat(21)}`, 'integer too many digits'],
  ['a length with no line feed', '*1\rx', 'integer no line feed'],
  ['a negative length other than nil', '*2\r\n$-2\r\n', 'integer a length is negative'],
  ['a negative count', '*-7\r\n', 'integer a length is negative'],
  ['a negative nested count', '*1\r\n*-7\r\n', 'integer a length is negative'],
  ['an integer that is none', '*1\r\n:1.5\r\n', 'integer not a decimal number'],
  ['a bulk string that goes on', '*1\r\n$1\r\nabc\r\n', 'bulk-end'],
  ['arrays in arrays', '*1\r\n*1\r\n*1\r\n', 'depth arrays in arrays in an array'],
  ['too many elements', '*65\r\n', 'elements a request has at most 64 elements'],
  ['an array of two billion', '*2147483647\r\n', 'elements a request has at most 64 elements'],
  ['too many elements in all', '*2\r\n*63\r\n', 'elements a request has at most 64 elements'],
  ['a bulk string over its limit', '*1\r\n$4097\r\n', 'bulk-bytes a bulk string has at most 4096 bytes'],
  ['a bulk string of 2^63', '*1\r\n$9223372036854775808\r\n', 'bulk-bytes a bulk string has at most 4096 bytes'],
  ['HTTP', 'GET / HTTP/1.1\r\n', 'http this port does not speak HTTP'],
  ['an open quote', 'publish "a\r\n', 'quotes a quote is not closed'],
  ['a quote inside a word', 'publish "a"b\r\n', 'quotes a closing quote ends a word'],
]

for (const [name, text, fault] of FAULTS) {
  test(`refuses ${name}`, () => {
    assert.deepEqual(whole(text), { requests: [], fault })
  })
}

test('refuses a request whose bulk strings are too large together, at the head of the one that is', () => {
  const part = `$4096\r\n${'x'.repeat(4096)}\r\n`
  const { fault } = whole(`*3\r\n${part}$4000\r\n`)
  assert.equal(fault, null)
  assert.equal(whole(`*3\r\n${part}${part}`).fault, 'request-bytes a request has at most 8192 bytes')
})

test('refuses a line without an end as soon as it is too long, and not before', () => {
  const limits = { ...LIMITS, requestBytesMax: 1_000_000 }
  const long = (bytes: number) => [Buffer.from('*1\r\n+'), Buffer.alloc(bytes, 'x')]
  assert.equal(parse(long(65_536), limits).fault, null)
  assert.equal(parse(long(65_537), limits).fault, 'line-bytes a line has at most 65536 bytes')
  assert.equal(whole('x'.repeat(65_537), limits).fault, 'line-bytes a line has at most 65536 bytes')
})

test('sets nothing aside for what is only announced', () => {
  const parser = new RequestParser({ elementsMax: 1_000_000, bulkBytesMax: 2 ** 31, requestBytesMax: 2 ** 32 })
  parser.push(Buffer.from('*1000000\r\n$2147483648\r\nabc'))
  assert.equal(parser.next(), false)
  assert.ok(parser.inRequest)
  assert.ok(parser.heldBytes <= 1024, `${parser.heldBytes} bytes`)
})

test('tells nil, numbers, nested arrays and values that are no array from requests', () => {
  assert.deepEqual(
    whole('*-1\r\n*0\r\n+PING\r\n:5\r\n$4\r\nPING\r\n').requests.map(({ shape, words }) => [shape, words.length]),
    [
      ['nil', 0],
      ['array', 0],
      ['odd', 1],
      ['odd', 1],
      ['odd', 1],
    ],
  )
  const { requests } = whole('*5\r\n$1\r\na\r\n$-1\r\n:7\r\n*2\r\n$1\r\nb\r\n+c\r\n+d\r\n')
  assert.deepEqual(requests, [{ shape: 'array', words: ['a', '', '', '', 'd'], lines: 2, oddities: 3 }])
})

test('reads inline commands with quotes and escapes, and skips empty lines', () => {
  const { requests } = whole('\r\n\nstream-names\npublish s "a b\\x00\\n\\"" \'it\\\'s\' ""\r\n')
  assert.deepEqual(
    requests.map(({ words }) => words),
    [['stream-names'], ['publish', 's', 'a b\0\n"', "it's", '']],
  )
})

test('takes lines that begin with spaces, and skips those that have nothing else', () => {
  const { requests, fault } = whole('  stream-names\r\n \t\r\n   \n\tping  "a b" \r\n *1\r\n$4\r\nping\r\n')
  assert.equal(fault, null)
  assert.deepEqual(
    requests.map(({ words }) => words),
    [['stream-names'], ['ping', 'a b'], ['ping']],
  )
})

test('a word is text only if it is UTF-8', () => {
  const parser = new RequestParser(LIMITS)
  parser.push(requestOf('é€😀', Buffer.from([0xff]), '\ufffd'))
  assert.ok(parser.next())
  const { request } = parser
  assert.deepEqual([request.text(0), request.text(1), request.text(2)], ['é€😀', null, '\ufffd'])
  assert.equal(request.shown(1), '\ufffd')
})

test('a request that came in pieces has its bytes to itself', () => {
  const parser = new RequestParser(LIMITS)
  const bytes = requestOf('publish', 'x'.repeat(100))
  parser.push(bytes.subarray(0, 30))
  assert.equal(parser.next(), false)
  parser.push(Buffer.concat([bytes.subarray(30), requestOf('ping')]))
  assert.ok(parser.next())
  assert.equal(parser.request.isOwned, true)
  assert.ok(parser.next())
  assert.equal(parser.request.isOwned, false)
  assert.equal(parser.request.text(0), 'ping')
  assert.equal(parser.next(), false)
  assert.equal(parser.heldBytes, 0)
})
