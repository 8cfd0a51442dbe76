/**
 * The committed vectors of test/vectors/ and our codecs agree in both directions.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { LeveretError } from '../../src/common/errors.js'
import { ClientFrameDecoder } from '../../src/protocol/decode-client.js'
import { ServerFrameDecoder } from '../../src/protocol/decode-server.js'
import { encodeClientFrame } from '../../src/protocol/encode-client.js'
import { encodeServerFrame } from '../../src/protocol/encode-server.js'
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import type { ClientFrame, ServerFrame } from '../../src/protocol/frames.js'
import { comparable } from '../helpers/arbitraries.js'
import { stockClientFrame, stockServerFrame } from '../helpers/stock-frames.js'
import { loadStock } from '../helpers/stock-protobuf.js'
import { type RefusedVector, type Vector, vectorFiles } from '../helpers/vectors.js'

const stock = loadStock()

function committed<T>(name: string): T[] {
  return JSON.parse(readFileSync(`test/vectors/${name}.json`, 'utf8')) as T[]
}

const clientVectors = committed<Vector>('client-frames')
const sparseVectors = committed<Vector>('client-frames-sparse')
const serverVectors = committed<Vector>('server-frames')
const refusedVectors = committed<RefusedVector>('refused')

/** The one frame of a vector, by the splitter and then the decoder. */
function read<T extends ClientFrame | ServerFrame>(
  hex: string,
  decoder: { decode(buffer: Buffer, start: number, end: number): T },
): T {
  const splitter = new FrameSplitter(1024 * 1024)
  splitter.push(Buffer.from(hex, 'hex'))
  assert.ok(splitter.next())
  const frame = decoder.decode(splitter.buffer, splitter.start, splitter.end)
  assert.equal(splitter.next(), false)
  assert.equal(splitter.inFrame, false)
  return frame
}

const readClient = (hex: string) => read(hex, new ClientFrameDecoder())
const readServer = (hex: string) => read(hex, new ServerFrameDecoder())

test('the committed vectors are what a stock library makes of their meanings', () => {
  for (const { path, text } of vectorFiles()) {
    assert.equal(readFileSync(path, 'utf8'), text, `${path} is out of date: npm run vectors`)
  }
})

for (const { name, hex, meaning } of clientVectors) {
  test(`client vector: ${name}`, () => {
    const frame = readClient(hex)
    const bytes = encodeClientFrame(frame)
    assert.equal(hex.slice(-2 * bytes.length), bytes.toString('hex'))
    assert.deepEqual(stock.type('ClientFrame').toJson(bytes), meaning)
    const message = stock.type('ClientFrame').encode(stockClientFrame(frame))
    assert.deepEqual(stock.type('ClientFrame').toJson(message), meaning)
  })
}

for (const { name, hex, sameAs } of sparseVectors) {
  test(`client vector with defaults left out: ${name}`, () => {
    const full = clientVectors.find((vector) => vector.name === sameAs)
    assert.ok(full)
    assert.deepEqual(comparable(readClient(hex)), comparable(readClient(full.hex)))
  })
}

for (const { name, hex, meaning } of serverVectors) {
  test(`server vector: ${name}`, () => {
    const frame = readServer(hex)
    assert.equal(encodeServerFrame(frame).toString('hex'), hex)
    const message = stock.type('ServerFrame').encode(stockServerFrame(frame))
    assert.deepEqual(stock.type('ServerFrame').toJson(message), meaning)
  })
}

for (const { name, hex, code, closes } of refusedVectors) {
  test(`refused vector: ${name}`, () => {
    if (code === 'LVT_UNSUPPORTED') {
      assert.equal(readClient(hex).kind, 'unknown')
      return
    }
    assert.throws(
      () => readClient(hex),
      (error: unknown) => {
        assert.ok(error instanceof LeveretError)
        assert.equal(error.code, code)
        assert.equal(error.fate, closes ? 'close' : 'answer')
        return true
      },
    )
  })
}

test('every kind of frame and every field of the contract has a vector', () => {
  const seen = new Set<string>()
  const collect = (path: string, value: unknown): void => {
    if (Array.isArray(value)) for (const item of value) collect(path, item)
    else if (typeof value === 'object' && value !== null) {
      for (const [name, inner] of Object.entries(value)) collect(`${path}.${name}`, inner)
    } else seen.add(path)
    seen.add(path)
  }
  for (const { meaning } of clientVectors) collect('ClientFrame', meaning)
  for (const { meaning } of serverVectors) collect('ServerFrame', meaning)
  assert.deepEqual(
    [...stock.paths('ClientFrame'), ...stock.paths('ServerFrame')].filter((path) => !seen.has(path)),
    [],
  )
})
