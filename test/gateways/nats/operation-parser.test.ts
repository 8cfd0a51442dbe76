import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NatsFault } from '../../../src/gateways/nats-streaming/core/nats-fault.js'
import { OP, OperationParser } from '../../../src/gateways/nats-streaming/core/operation-parser.js'
import { fc } from '../../helpers/fast-check.js'

const LIMITS = { controlLineBytesMax: 256, payloadBytesMax: 4096 }

interface Parsed {
  readonly operations: readonly unknown[]
  /** The text of its -ERR, or that it has none. */
  readonly fault: string | null
}

/** What a parser makes of chunks, which are wiped when they have been read. */
function parse(chunks: readonly Buffer[], hasHeaders = true): Parsed {
  const parser = new OperationParser(LIMITS)
  parser.hasHeaders = hasHeaders
  const operations: unknown[] = []
  try {
    for (const bytes of chunks) {
      const chunk = Buffer.from(bytes)
      parser.push(chunk)
      for (let op = parser.next(); op !== OP.none; op = parser.next()) operations.push(seen(parser))
      chunk.fill(0xff)
    }
  } catch (error) {
    assert.ok(error instanceof NatsFault, String(error))
    return { operations, fault: error.text ?? 'without a word' }
  }
  return { operations, fault: null }
}

function seen(parser: OperationParser): unknown {
  const { op, count, isPlain, headerBytes, bodyAt, bodyBytes, buffer } = parser
  const words = Array.from({ length: count }, (_, index) => parser.text(index))
  if (op !== OP.pub && op !== OP.hpub) return { op, words }
  const body = buffer.toString('latin1', bodyAt, bodyAt + bodyBytes)
  return { op, words, isPlain, headerBytes, body }
}

function whole(text: string, hasHeaders = true): Parsed {
  return parse([Buffer.from(text, 'latin1')], hasHeaders)
}

/** Cut at the given places, which need not be sorted or inside. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  const bounds = [0, ...sorted, bytes.length]
  return bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end))
}

function byteByByte(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))
}

const space = fc.stringMatching(/^[ \t]{1,3}$/)
const end = fc.constantFrom('\r\n', '\n')
const word = fc.stringMatching(/^[!-~]{1,12}$/)
const body = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const name = (text: string) => fc.constantFrom(text, text.toLowerCase())
const line = (text: string, most: number) =>
  fc
    .tuple(name(text), fc.array(fc.tuple(space, word), { minLength: 1, maxLength: most }), end)
    .map(([first, words, last]) => Buffer.from(first + words.flat().join('') + last))
const pub = fc
  .tuple(name('PUB'), space, word, fc.option(word), body, end)
  .map(([first, gap, subject, reply, payload, last]) => {
    const words = [first, subject, ...(reply === null ? [] : [reply]), String(payload.length)]
    return Buffer.concat([Buffer.from(words.join(gap) + last), payload, Buffer.from('\r\n')])
  })
const hpub = fc
  .tuple(name('HPUB'), space, word, fc.option(word), body, body)
  .map(([first, gap, subject, reply, head, payload]) => {
    const lengths = [head.length, head.length + payload.length].map(String)
    const words = [first, subject, ...(reply === null ? [] : [reply]), ...lengths]
    return Buffer.concat([Buffer.from(`${words.join(gap)}\r\n`), head, payload, Buffer.from('\r\n')])
  })
const plain = fc
  .constantFrom('PING\r\n', 'pong\n', 'CONNECT {"name":"a b"}\r\n', '+OK\r\n')
  .map((text) => Buffer.from(text))
const operation = fc.oneof(pub, pub, hpub, line('SUB', 3), line('UNSUB', 2), plain)
const stream = fc.array(operation, { maxLength: 8 }).map((parts) => Buffer.concat(parts))

test('reads the same operations however the bytes are cut', () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(4000), { maxLength: 20 }), (bytes, places) => {
      const expected = parse([bytes])
      assert.equal(expected.fault, null)
      assert.deepEqual(parse(cut(bytes, places)), expected)
      assert.deepEqual(parse(byteByByte(bytes)), expected)
    }),
  )
})

test('refuses the same nonsense however it is cut', () => {
  const nonsense = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    fc
      .stringMatching(/^(PUB|HPUB|SUB|UNSUB|PONG|CONNECT|pu|-ERR)[ a-z0-9\r\n-]{0,30}\n$/)
      .map((text) => Buffer.from(text)),
  )
  fc.assert(
    fc.property(stream, nonsense, fc.array(fc.nat(4000), { maxLength: 20 }), (head, tail, places) => {
      const bytes = Buffer.concat([head, tail])
      const expected = parse([bytes])
      assert.deepEqual(parse(cut(bytes, places)), expected)
      assert.deepEqual(parse(byteByByte(bytes)), expected)
    }),
    { numRuns: 500 },
  )
})

test('survives an operation of which a byte was changed, and finds what is behind it or ends', () => {
  fc.assert(
    fc.property(stream, fc.nat(), fc.nat(255), (bytes, place, value) => {
      if (bytes.length === 0) return
      const damaged = Buffer.from(bytes)
      damaged[place % bytes.length] = value
      const result = parse([damaged])
      assert.deepEqual(parse(byteByByte(damaged)), result)
    }),
    { numRuns: 500 },
  )
})

test('sets nothing aside for a payload that is only announced', () => {
  const parser = new OperationParser({ controlLineBytesMax: 256, payloadBytesMax: 64 * 1024 * 1024 })
  parser.push(Buffer.from('PUB a 67108864\r\nx'))
  assert.equal(parser.next(), OP.none)
  assert.ok(parser.heldCapacity <= 512, String(parser.heldCapacity))
})

test('refuses a payload by what is announced', () => {
  for (const bytes of ['4097', '2147483647', '4294967295']) {
    const { fault } = whole(`PUB a ${bytes}\r\n`)
    assert.equal(fault, bytes.length < 10 ? 'Maximum Payload Violation' : 'without a word')
  }
  assert.equal(whole(`HPUB a 1 4097\r\n`).fault, 'Maximum Payload Violation')
  assert.equal(whole('PUB a -1\r\n').fault, 'without a word')
})

test('holds no more of a line that does not end than a line may have', () => {
  const parser = new OperationParser(LIMITS)
  const chunk = Buffer.alloc(100, 'x')
  parser.push(Buffer.from('SUB '))
  assert.equal(parser.next(), OP.none)
  const feed = (): void => {
    for (let count = 0; count < 100; count++) {
      parser.push(chunk)
      parser.next()
      assert.ok(parser.heldCapacity < 2048)
    }
  }
  assert.throws(feed, (error) => error instanceof NatsFault && error.text === 'maximum control line exceeded')
})

test('refuses a wrong name as soon as it is one', () => {
  for (const text of ['G', 'PX', 'PUBX', 'SUBS', '\r', '\n', ' PING', '*1', '\x16\x03']) {
    assert.equal(whole(text).fault, 'Unknown Protocol Operation', JSON.stringify(text))
  }
  for (const text of ['P', 'pu', 'HPU', 'CONNEC', '-', '+O']) assert.equal(whole(text).fault, null, text)
})

test('forgets a chunk that was read to its end', () => {
  const parser = new OperationParser(LIMITS)
  parser.push(Buffer.from('PING\r\n'))
  assert.equal(parser.next(), OP.ping)
  assert.equal(parser.next(), OP.none)
  assert.equal(parser.buffer.length, 0)
  assert.equal(parser.inOperation, false)
})
