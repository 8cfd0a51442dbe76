import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type RequestLimits, RequestParser } from '../../../src/gateways/resp/request-parser.js'
import { RespFault } from '../../../src/gateways/resp/resp-fault.js'
import { requestOf } from '../../helpers/resp-values.js'

const LIMITS: RequestLimits = { elementsMax: 64, bulkBytesMax: 4096, requestBytesMax: 8192 }

interface Parsed {
  readonly shape: string
  readonly words: readonly string[]
  readonly lines: number
  readonly oddities: number
}

/** What a parser makes of chunks: requests, and how it ended. Chunks are wiped when they have been read. */
function parse(chunks: readonly Buffer[], limits = LIMITS): { requests: Parsed[]; fault: string | null } {
  const parser = new RequestParser(limits)
  const { request } = parser
  const requests: Parsed[] = []
  try {
    for (const bytes of chunks) {
      const chunk = Buffer.from(bytes)
      parser.push(chunk)
      while (parser.next()) {
        const words = Array.from({ length: request.count }, (_, index) => request.bytes(index).toString('latin1'))
        requests.push({ shape: request.shape, words, lines: request.lines, oddities: request.oddities })
      }
      chunk.fill(0xff)
    }
  } catch (error) {
    assert.ok(error instanceof RespFault, String(error))
    return { requests, fault: `${error.kind} ${error.detail}`.trim() }
  }
  return { requests, fault: null }
}

function whole(text: string | Buffer, limits = LIMITS) {
  return parse([Buffer.from(text as string, 'latin1')], limits)
}

/** Cut at the given places, which need not be sorted or inside. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  const bounds = [0, ...sorted, bytes.length]
  return bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end))
}

const word = fc.uint8Array({ maxLength: 40 })
/** Elements of all kinds, valid or not, framed properly. */
const element = fc.oneof(
  {
    weight: 6,
    arbitrary: word.map((bytes) => Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])),
  },
  { weight: 2, arbitrary: fc.stringMatching(/^[ -~]{0,20}$/).map((text) => Buffer.from(`+${text}\r\n`)) },
  fc.stringMatching(/^[ -~\r]{0,10}x$/).map((text) => Buffer.from(`-${text}\r\n`)),
  fc.integer().map((value) => Buffer.from(`:${value}\r\n`)),
  fc.constantFrom('$-1\r\n', '*-1\r\n', '*0\r\n', '*2\r\n$1\r\na\r\n:5\r\n').map((text) => Buffer.from(text)),
)
const framed = fc
  .array(element, { maxLength: 8 })
  .map((parts) => Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...parts]))
const typed = fc.stringMatching(/^[a-z]{1,8}( [a-z0-9:$]{1,8}){0,3}$/).map((line) => Buffer.from(`${line}\r\n`))
const stream = fc
  .array(fc.oneof({ weight: 5, arbitrary: framed }, typed), { maxLength: 6 })
  .map((parts) => Buffer.concat(parts))

test('reads the same requests however the bytes are cut', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(2000), { maxLength: 20 }), (bytes, places) => {
      const expected = parse([bytes])
      assert.equal(expected.fault, null)
      assert.deepEqual(parse(cut(bytes, places)), expected)
      assert.deepEqual(parse(Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))), expected)
    }),
  )
})

test('gives back the words that a client wrote', () => {
  fc.assert(
    fc.property(fc.array(fc.array(word, { minLength: 1, maxLength: 8 }), { maxLength: 5 }), (requests) => {
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

test('makes the same of garbage however it is cut, and nothing but a fault', () => {
  const noise = fc.array(
    fc.oneof(
      fc.constantFrom('*', '$', '+', '-', ':', '\r\n', '\r', '\n', '0', '1', '3', '-1', '99', 'a ', '"', "'"),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 60 },
  )
  fc.assert(
    fc.property(noise, fc.array(fc.nat(400), { maxLength: 10 }), (parts, places) => {
      const bytes = Buffer.from(parts.join(''), 'latin1')
      assert.deepEqual(parse(cut(bytes, places)), whole(bytes))
    }),
    { numRuns: 2000 },
  )
})

test('a damaged request is read, or refused, and never more than the bytes that are there', () => {
  fc.assert(
    fc.property(
      stream,
      fc.nat(),
      fc.nat(255),
      fc.array(fc.nat(2000), { maxLength: 5 }),
      (bytes, place, byte, places) => {
        if (bytes.length === 0) return
        const damaged = Buffer.from(bytes)
        damaged[place % damaged.length] = byte
        assert.deepEqual(parse(cut(damaged, places)), whole(damaged))
      },
    ),
    { numRuns: 2000 },
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
