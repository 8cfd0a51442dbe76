/**
 * Server frames against a stock protobuf library that has read proto/leveret.proto and nothing else.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerFrameDecoder } from '../../src/protocol/decode-server.js'
import {
  DELIVERY_HEADER_BYTES_MAX,
  DONE_BYTES_MAX,
  encodeServerFrame,
  publishedBytesMax,
  putDeliveryHeader,
  putDone,
  putPublished,
} from '../../src/protocol/encode-server.js'
import type { DeliveryFrame, PublishedFrame, ServerFrame } from '../../src/protocol/frames.js'
import { arbServerFrame, arbUnknownFields, comparable } from '../helpers/arbitraries.js'
import { fc } from '../helpers/fast-check.js'
import { stockServerFrame } from '../helpers/stock-frames.js'
import { loadStock, withUnknownFields } from '../helpers/stock-protobuf.js'

const stock = loadStock().type('ServerFrame')
const unpacked = loadStock({ unpacked: true }).type('ServerFrame')
const extended = loadStock({ extended: true }).type('ServerFrame')

function decode(bytes: Uint8Array): ServerFrame {
  const buffer = Buffer.concat([Buffer.alloc(3, 0x7a), bytes, Buffer.alloc(9, 0x0a)])
  return new ServerFrameDecoder().decode(buffer, 3, 3 + bytes.length)
}

const NUM_RUNS = 2_000

const isDelivery = (frame: ServerFrame): frame is DeliveryFrame => frame.kind === 'delivery'
const isPublished = (frame: ServerFrame): frame is PublishedFrame => frame.kind === 'published'

test('server frames are encoded to the delimited bytes of the stock library', () => {
  fc.assert(
    fc.property(arbServerFrame, (frame) => {
      const expected = stock.encodeDelimited(stockServerFrame(frame))
      assert.equal(encodeServerFrame(frame).toString('hex'), expected.toString('hex'))
    }),
    { numRuns: NUM_RUNS },
  )
})

test('server frames of the stock library are decoded to what was encoded', () => {
  fc.assert(
    fc.property(arbServerFrame, (frame) => {
      assert.deepEqual(comparable(decode(stock.encode(stockServerFrame(frame)))), comparable(frame))
    }),
    { numRuns: NUM_RUNS },
  )
})

test('a delivery header laid before its run in place makes the bytes of the stock library', () => {
  fc.assert(
    fc.property(arbServerFrame.filter(isDelivery), (frame) => {
      const run = frame.run.buffer.subarray(frame.run.start, frame.run.end)
      const buffer = Buffer.alloc(DELIVERY_HEADER_BYTES_MAX)
      const end = putDeliveryHeader(buffer, 0, frame, run.length)
      assert.ok(end <= DELIVERY_HEADER_BYTES_MAX, 'the room that is promised is enough')
      const bytes = Buffer.concat([buffer.subarray(0, end), run])
      assert.equal(bytes.toString('hex'), stock.encodeDelimited(stockServerFrame({ ...frame, id: 0 })).toString('hex'))
    }),
  )
})

test('a receipt laid in place makes the bytes of the stock library', () => {
  fc.assert(
    fc.property(arbServerFrame.filter(isPublished), fc.string({ unit: 'binary', minLength: 1 }), (drawn, topic) => {
      const frame = { ...drawn, topic, duplicates: [], keptOffsets: [], parts: [] }
      const name = Buffer.from(topic)
      const buffer = Buffer.alloc(publishedBytesMax(name.length))
      const receipt = { ...frame, duplicates: null, keptOffsets: null, parts: null }
      const bytes = buffer.subarray(0, putPublished(buffer, 0, frame.id, name, receipt))
      assert.equal(bytes.toString('hex'), stock.encodeDelimited(stockServerFrame(frame)).toString('hex'))
    }),
  )
})

test('a Done laid in place makes the bytes of the stock library', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (id) => {
      const buffer = Buffer.alloc(DONE_BYTES_MAX)
      const bytes = buffer.subarray(0, putDone(buffer, 0, id))
      assert.equal(bytes.toString('hex'), stock.encodeDelimited(stockServerFrame({ kind: 'done', id })).toString('hex'))
    }),
  )
})

test('repeated numbers are accepted one by one as well as packed', () => {
  fc.assert(
    fc.property(arbServerFrame, (frame) => {
      assert.deepEqual(comparable(decode(unpacked.encode(stockServerFrame(frame)))), comparable(frame))
    }),
  )
})

test('fields that version 1 does not know are skipped at every depth', () => {
  fc.assert(
    fc.property(arbServerFrame, fc.infiniteStream(arbUnknownFields), (frame, unknown) => {
      const message = withUnknownFields(stockServerFrame(frame), () => unknown.next().value ?? {})
      const decoded = decode(extended.encode(message))
      if (decoded.kind !== 'delivery' || frame.kind !== 'delivery') {
        assert.deepEqual(decoded, comparable(frame))
        return
      }
      assert.equal(decoded.run.count, frame.run.count)
      assert.deepEqual(comparable({ ...decoded, run: frame.run }), comparable(frame))
    }),
    { numRuns: NUM_RUNS },
  )
})

test('of several bodies and ids in one frame the last wins', () => {
  fc.assert(
    fc.property(arbServerFrame, arbServerFrame, (first, last) => {
      fc.pre(first.kind !== last.kind)
      const bytes = Buffer.concat([stock.encode(stockServerFrame(first)), stock.encode(stockServerFrame(last))])
      assert.deepEqual(comparable(decode(bytes)), comparable({ ...last, id: last.id === 0 ? first.id : last.id }))
    }),
  )
})

test('a frame without a body, and one with a body of a newer version, are told as unknown with their id', () => {
  assert.deepEqual(decode(Buffer.alloc(0)), { kind: 'unknown', id: 0, field: 0 })
  assert.deepEqual(decode(extended.encode({ id: 9, x2: Buffer.from('body') })), {
    kind: 'unknown',
    id: 9,
    field: 3_000,
  })
})
