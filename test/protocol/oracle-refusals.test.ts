/**
 * Frames that are no frames: refused with a ProtocolError that leaves the request id behind, and never accepted when a
 * stock library refuses them. The decoder may be stricter than the library, never laxer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProtocolError } from '../../src/common/errors.js'
import { ClientFrameDecoder } from '../../src/protocol/decode-client.js'
import { ServerFrameDecoder } from '../../src/protocol/decode-server.js'
import type { ClientFrame, ServerFrame } from '../../src/protocol/frames.js'
import { arbChanges, arbClientFrame, arbServerFrame, changeBytes } from '../helpers/arbitraries.js'
import { fc } from '../helpers/fast-check.js'
import { stockClientFrame, stockServerFrame } from '../helpers/stock-frames.js'
import { loadStock, type StockType } from '../helpers/stock-protobuf.js'

const protocol = loadStock()
const clientFrames = protocol.type('ClientFrame')
const serverFrames = protocol.type('ServerFrame')

const BODY_NAMES: Readonly<Record<string, string>> = {
  'create-topic': 'createTopic',
  'manage-group': 'manageGroup',
  'lost-range': 'lostRange',
}

interface Decoder {
  decode(buffer: Buffer, start: number, end: number): ClientFrame | ServerFrame
}

/** The frame, or null when it is refused; anything thrown but a ProtocolError is a defect. */
function decodeOrRefuse(decoder: Decoder, bytes: Buffer): ClientFrame | ServerFrame | null {
  try {
    return decoder.decode(bytes, 0, bytes.length)
  } catch (error) {
    if (error instanceof ProtocolError && error.code === 'LVT_PROTOCOL') return null
    throw error
  }
}

/** Counts what it accepts, so that a test notices when it compares nothing any more. */
function compareWithStock(decoder: Decoder, stock: StockType, bytes: Buffer): 0 | 1 {
  const frame = decodeOrRefuse(decoder, bytes)
  if (frame === null) return 0
  const message = stock.decode(bytes)
  assert.equal(frame.id, message.id ?? 0)
  if (frame.kind !== 'unknown') assert.ok((BODY_NAMES[frame.kind] ?? frame.kind) in message, frame.kind)
  if ('run' in frame) {
    const body = message[frame.kind] as { records?: unknown[] }
    // Two bodies of a kind are one to a stock library, which merges them; here the last one counts.
    assert.ok(frame.run.count <= (body.records?.length ?? 0))
  }
  return 1
}

test('no client frame is accepted that a stock library refuses', () => {
  let accepted = 0
  fc.assert(
    fc.property(arbClientFrame, arbChanges, (frame, changes) => {
      const bytes = changeBytes(clientFrames.encode(stockClientFrame(frame)), changes)
      accepted += compareWithStock(new ClientFrameDecoder(), clientFrames, bytes)
    }),
    { numRuns: 20_000 },
  )
  assert.ok(accepted > 1_000, `only ${accepted} changed frames were accepted: the test has lost its sense`)
})

test('no server frame is accepted that a stock library refuses', () => {
  let accepted = 0
  fc.assert(
    fc.property(arbServerFrame, arbChanges, (frame, changes) => {
      const bytes = changeBytes(serverFrames.encode(stockServerFrame(frame)), changes)
      accepted += compareWithStock(new ServerFrameDecoder(), serverFrames, bytes)
    }),
    { numRuns: 20_000 },
  )
  assert.ok(accepted > 1_000, `only ${accepted} changed frames were accepted: the test has lost its sense`)
})

test('arbitrary bytes are a frame or a ProtocolError', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (random) => {
      const bytes = Buffer.from(random)
      compareWithStock(new ClientFrameDecoder(), clientFrames, bytes)
      compareWithStock(new ServerFrameDecoder(), serverFrames, bytes)
    }),
    { numRuns: 20_000 },
  )
})

/** What comes after the id 7, and what its refusal says. */
const REFUSED: Readonly<Record<string, readonly [string, RegExp]>> = {
  'a body that is longer than the frame': ['4a01', /longer than its frame/],
  'a body that is a number': ['4801', /wire type 0 instead of 2/],
  'a body that is a group': ['4b4c', /wire type 3 instead of 2/],
  'a field with the number 0': ['0200', /number 0/],
  'a body with a field with the number 0': ['4a020200', /number 0/],
  'a wire type that does not exist': ['4a020e00', /wire type 6 is not known/],
  'a padded tag': ['ca0000', /padded/],
  'a field number above 2^29 - 1': [`8280808010${'00'}`, /2\^29 - 1/],
  'a number of 11 bytes': [`2a0c08${'80'.repeat(10)}01`, /more than 10 bytes/],
  'a number above 2^53 - 1': [`320920${'80'.repeat(7)}10`, /2\^53 - 1/],
  'a 32-bit number above 2^32 - 1': [`2a0608${'80'.repeat(4)}10`, /2\^32 - 1/],
  'a number that ends early': ['2a020880', /ends inside a number/],
  'a topic that is not UTF-8': ['32030a01ff', /UTF-8/],
  'a topic with a surrogate': ['32050a03eda080', /UTF-8/],
  'a topic that is a number': ['32020801', /wrong wire type/],
  'a durability that does not exist': ['32021805', /durability 5/],
  'an outcome that does not exist': ['3a022805', /outcome 5/],
  'a mode that does not exist': ['22022803', /mode 3/],
  'a slow consumer policy that does not exist': ['1a0412027003', /policy 3/],
  'records that are numbers': ['32027801', /wrong wire type/],
  'records under a padded tag': ['3203fa0000', /padded/],
  'a field after its records': ['32047a000a00', /contiguous and last/],
}

for (const [what, [body, message]] of Object.entries(REFUSED)) {
  test(`a frame with ${what} is refused, and its id is known`, () => {
    const decoder = new ClientFrameDecoder()
    const bytes = Buffer.from(`0807${body}`, 'hex')
    assert.throws(() => decoder.decode(bytes, 0, bytes.length), {
      name: 'ProtocolError',
      code: 'LVT_PROTOCOL',
      message,
    })
    assert.equal(decoder.failedId, 7)
    assert.deepEqual(decoder.decode(Buffer.from('4a00', 'hex'), 0, 2), { kind: 'ping', id: 0 })
  })
}

test('a decoder keeps no topic name that no topic can have', () => {
  const decoder = new ClientFrameDecoder()
  const topics = ['a', 'x'.repeat(300), 'y'.repeat(300), 'a', 'b'.repeat(255), 'c'.repeat(255)]
  for (const topic of topics) {
    const bytes = clientFrames.encode({ publish: { topic } })
    assert.equal((decodeOrRefuse(decoder, bytes) as { topic?: string }).topic, topic)
  }
  const heldBefore = process.memoryUsage().arrayBuffers
  const decoders = Array.from({ length: 32 }, () => new ClientFrameDecoder())
  const bytes = clientFrames.encode({ publish: { topic: 'z'.repeat(1024 * 1024) } })
  for (const one of decoders) one.decode(bytes, 0, bytes.length)
  assert.ok(process.memoryUsage().arrayBuffers - heldBefore < 8 * 1024 * 1024)
})
