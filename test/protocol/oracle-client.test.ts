/**
 * Client frames against a stock protobuf library that has read proto/leveret.proto and nothing else.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientFrameDecoder } from '../../src/protocol/decode-client.js'
import { encodeClientFrame, publishHeadBytesMax, putPublishHead } from '../../src/protocol/encode-client.js'
import type { ClientFrame, PublishFrame } from '../../src/protocol/frames.js'
import { arbClientFrame, arbUnknownFields, comparable } from '../helpers/arbitraries.js'
import { fc } from '../helpers/fast-check.js'
import { stockClientFrame } from '../helpers/stock-frames.js'
import { loadStock, withUnknownFields } from '../helpers/stock-protobuf.js'

const stock = loadStock().type('ClientFrame')
const unpacked = loadStock({ unpacked: true }).type('ClientFrame')
const extended = loadStock({ extended: true }).type('ClientFrame')

/** Decode from the middle of a larger buffer, as the server does: what stands around a frame must not matter. */
function decode(bytes: Uint8Array): ClientFrame {
  const buffer = Buffer.concat([Buffer.alloc(3, 0x7a), bytes, Buffer.alloc(9, 0x0a)])
  return new ClientFrameDecoder().decode(buffer, 3, 3 + bytes.length)
}

/** Runs per kind: enough for each edge of the numbers to come up in each kind. */
const NUM_RUNS = 2_000

test('client frames are encoded to the bytes of the stock library', () => {
  fc.assert(
    fc.property(arbClientFrame, (frame) => {
      assert.equal(encodeClientFrame(frame).toString('hex'), stock.encode(stockClientFrame(frame)).toString('hex'))
    }),
    { numRuns: NUM_RUNS },
  )
})

test('client frames of the stock library are decoded to what was encoded', () => {
  fc.assert(
    fc.property(arbClientFrame, (frame) => {
      assert.deepEqual(comparable(decode(stock.encode(stockClientFrame(frame)))), comparable(frame))
    }),
    { numRuns: NUM_RUNS },
  )
})

test('a publish laid around its run in place has the bytes of the stock library', () => {
  const publishes = arbClientFrame.filter((frame): frame is PublishFrame => frame.kind === 'publish')
  fc.assert(
    fc.property(publishes, (frame) => {
      const topic = Buffer.from(frame.topic)
      const producer = Buffer.from(frame.producer)
      const run = frame.run.buffer.subarray(frame.run.start, frame.run.end)
      const runStart = publishHeadBytesMax(topic.length, producer.length)
      const buffer = Buffer.concat([Buffer.alloc(runStart, 0xee), run])
      const start = putPublishHead(buffer, runStart, run.length, { ...frame, topic, producer })
      assert.ok(start >= 0, 'the room that publishHeadBytesMax promises is enough')
      assert.equal(buffer.subarray(start).toString('hex'), stock.encode(stockClientFrame(frame)).toString('hex'))
      assert.ok(buffer.subarray(0, start).every((byte) => byte === 0xee))
    }),
  )
})

test('repeated numbers are accepted one by one as well as packed', () => {
  fc.assert(
    fc.property(arbClientFrame, (frame) => {
      assert.deepEqual(comparable(decode(unpacked.encode(stockClientFrame(frame)))), comparable(frame))
    }),
  )
  const both = Buffer.from('3a0a080120052202060720082001', 'hex')
  both[1] = both.length - 2
  assert.deepEqual((decode(both) as { offsets?: unknown }).offsets, [5, 6, 7, 8, 1])
})

test('fields that version 1 does not know are skipped at every depth', () => {
  fc.assert(
    fc.property(arbClientFrame, fc.infiniteStream(arbUnknownFields), (frame, unknown) => {
      const message = withUnknownFields(stockClientFrame(frame), () => unknown.next().value ?? {})
      assert.deepEqual(comparable(decodeWithRunOf(extended.encode(message), frame)), comparable(frame))
    }),
    { numRuns: NUM_RUNS },
  )
})

/** A run with unknown fields in its records has other bytes, which a subscriber gets as they came; the rest is equal. */
function decodeWithRunOf(bytes: Buffer, expected: ClientFrame): ClientFrame {
  const frame = decode(bytes)
  if (frame.kind !== 'publish' || expected.kind !== 'publish') return frame
  assert.equal(frame.run.count, expected.run.count)
  return { ...frame, run: expected.run }
}

test('of several bodies and ids in one frame the last wins', () => {
  fc.assert(
    fc.property(arbClientFrame, arbClientFrame, (first, last) => {
      fc.pre(first.kind !== last.kind)
      const bytes = Buffer.concat([stock.encode(stockClientFrame(first)), stock.encode(stockClientFrame(last))])
      assert.deepEqual(comparable(decode(bytes)), comparable({ ...last, id: last.id === 0 ? first.id : last.id }))
    }),
  )
})

test('an id that stands after its body is the id of the frame', () => {
  assert.deepEqual(decode(Buffer.from('4a000807', 'hex')), { kind: 'ping', id: 7 })
})

test('a frame without a body, and one with a body of a newer version, are told as unknown with their id', () => {
  assert.deepEqual(decode(Buffer.alloc(0)), { kind: 'unknown', id: 0, field: 0 })
  assert.deepEqual(decode(Buffer.from('0807', 'hex')), { kind: 'unknown', id: 7, field: 0 })
  assert.deepEqual(decode(Buffer.from('0807f201020801', 'hex')), { kind: 'unknown', id: 7, field: 30 })
  assert.deepEqual(decode(extended.encode({ id: 9, x2: Buffer.from('body') })), {
    kind: 'unknown',
    id: 9,
    field: 3_000,
  })
})

test('an absent optional number differs from 0', () => {
  const absent = decode(stock.encode({ id: 1, publish: { topic: 't' } })) as PublishFrame
  const zero = decode(stock.encode({ id: 1, publish: { topic: 't', partition: 0, expectedOffset: 0, sequence: 0 } }))
  assert.deepEqual([absent.partition, absent.expectedOffset, absent.sequence], [null, null, null])
  const { partition, expectedOffset, sequence } = zero as PublishFrame
  assert.deepEqual([partition, expectedOffset, sequence], [0, 0, 0])
})

test('one decoder serves a whole connection: no frame leaves anything behind for the next', () => {
  fc.assert(
    fc.property(fc.array(arbClientFrame, { maxLength: 8 }), (frames) => {
      const decoder = new ClientFrameDecoder()
      for (const frame of frames) {
        const bytes = stock.encode(stockClientFrame(frame))
        assert.deepEqual(comparable(decoder.decode(bytes, 0, bytes.length)), comparable(frame))
      }
    }),
  )
})
