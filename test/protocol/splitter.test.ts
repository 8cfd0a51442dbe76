/**
 * The synchronous frame splitter: equal to the framing package however the bytes are cut, strict about lengths, and
 * with no more memory than has arrived.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode } from 'it-length-prefixed'
import { contiguous, splitFrames } from '../../client/framing.js'
import { ProtocolError } from '../../src/common/errors.js'
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import { arbCuts } from '../helpers/arbitraries.js'
import { fc } from '../helpers/fast-check.js'
import { type Split, splitWithPackage } from '../helpers/strict-length.js'

const FRAME_BYTES_MAX = 8 * 1024 * 1024
const MIB = 1024 * 1024

/** Frames are read when they come out, since a splitter may reuse its memory at the next push. */
function split(chunks: readonly Buffer[], frameBytesMax = FRAME_BYTES_MAX): Split {
  const splitter = new FrameSplitter(frameBytesMax)
  const frames: string[] = []
  try {
    for (const chunk of chunks) {
      splitter.push(chunk)
      while (splitter.next()) frames.push(splitter.buffer.toString('hex', splitter.start, splitter.end))
    }
  } catch (error) {
    if (error instanceof ProtocolError && error.fate === 'answer') throw error
    if (error instanceof ProtocolError) return { frames, end: 'refused' }
    throw error
  }
  return { frames, end: splitter.inFrame ? 'inside' : 'boundary' }
}

function framed(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...encode(frames)].map((bytes) => bytes.subarray()))
}

function hexOf(frames: readonly Uint8Array[]): string[] {
  return frames.map((frame) => Buffer.from(frame).toString('hex'))
}

const arbFrames = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.constantFrom(0, 1, 126, 127, 128, 129, 300, 16_383, 16_384).map((size) => new Uint8Array(size).fill(0x80)),
  ),
  { maxLength: 8 },
)

/** A stream with every length of a length, and empty frames at its beginning, in its middle and at its end. */
const FIXED = [0, 1, 0, 127, 128, 5, 16_384, 0].map((size, index) => new Uint8Array(size).fill(0x80 + index))

test('finds the frames that the package finds, however the bytes are cut', () => {
  const arbStream = arbFrames.map(framed).chain((stream) => arbCuts(stream))
  fc.assert(
    fc.property(arbStream, (chunks) => {
      assert.deepEqual(split(chunks), splitWithPackage(chunks, FRAME_BYTES_MAX))
    }),
    { numRuns: 2_000 },
  )
})

test('agrees with the package on any bytes at all, refusing where it refuses', () => {
  const arbByte = fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0x81, 0xff), fc.nat({ max: 255 }))
  const arbBytes = fc.array(arbByte, { maxLength: 40 }).map((bytes) => Buffer.from(bytes))
  const arbStream = fc.oneof(
    arbBytes,
    fc.tuple(arbFrames, arbBytes).map(([frames, tail]) => Buffer.concat([framed(frames), tail])),
  )
  const seen = { boundary: 0, inside: 0, refused: 0 }
  fc.assert(
    fc.property(
      arbStream.chain((stream) => arbCuts(stream)),
      fc.constantFrom(0, 10, 200, FRAME_BYTES_MAX),
      (chunks, max) => {
        const found = split(chunks, max)
        seen[found.end]++
        assert.deepEqual(found, splitWithPackage(chunks, max))
      },
    ),
    { numRuns: 5_000 },
  )
  assert.ok(Math.min(...Object.values(seen)) > 100, `each kind of end comes up: ${JSON.stringify(seen)}`)
})

test('the framing of the client finds and refuses the same', async () => {
  const arbByte = fc.oneof(fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0x81, 0xff), fc.nat({ max: 255 }))
  const arbTail = fc.array(arbByte, { maxLength: 12 }).map((bytes) => Buffer.from(bytes))
  const arbStream = fc.tuple(arbFrames, arbTail).map(([frames, tail]) => Buffer.concat([framed(frames), tail]))
  await fc.assert(
    fc.asyncProperty(arbStream.chain(arbCuts), async (chunks) => {
      const { frames, end } = split(chunks, 20_000)
      const found: string[] = []
      let code = ''
      try {
        for await (const frame of splitFrames(streamOf(chunks), 20_000)) found.push(contiguous(frame).toString('hex'))
      } catch (error) {
        if (error instanceof ProtocolError) code = error.code
        // The package's own word for a stream that ends inside a frame, which is no defect of the bytes.
        else assert.equal((error as Error).name, 'UnexpectedEOFError')
      }
      assert.deepEqual(found, frames)
      assert.equal(code !== '', end === 'refused')
    }),
    { numRuns: 1_000 },
  )
})

async function* streamOf(chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks
}

test('finds the same frames when the stream is cut at each of its bytes', () => {
  const stream = framed(FIXED)
  const expected = { frames: hexOf(FIXED), end: 'boundary' as const }
  for (let cut = 0; cut <= stream.length; cut++) {
    assert.deepEqual(split([stream.subarray(0, cut), stream.subarray(cut)]), expected, `cut at ${cut}`)
  }
})

test('finds the same frames when the stream is cut at any two of its bytes', () => {
  const frames = [0, 1, 0, 128, 2].map((size) => new Uint8Array(size).fill(0x81))
  const stream = framed(frames)
  const expected = { frames: hexOf(frames), end: 'boundary' as const }
  for (let first = 0; first <= stream.length; first++) {
    for (let second = first; second <= stream.length; second++) {
      const chunks = [stream.subarray(0, first), stream.subarray(first, second), stream.subarray(second)]
      assert.deepEqual(split(chunks), expected, `cut at ${first} and ${second}`)
    }
  }
})

test('finds the same frames one byte at a time', () => {
  const chunks = [...framed(FIXED)].map((byte) => Buffer.from([byte]))
  assert.deepEqual(split(chunks), { frames: hexOf(FIXED), end: 'boundary' })
})

test('an empty frame is a frame', () => {
  assert.deepEqual(split([Buffer.from([0])]), { frames: [''], end: 'boundary' })
  assert.deepEqual(split([Buffer.from([0, 0, 0])]), { frames: ['', '', ''], end: 'boundary' })
  assert.deepEqual(split([Buffer.alloc(0), Buffer.from([0]), Buffer.alloc(0)]), { frames: [''], end: 'boundary' })
})

test('knows whether the stream stands inside a frame', () => {
  assert.equal(split([]).end, 'boundary')
  assert.equal(split([Buffer.from([0x80])]).end, 'inside')
  assert.equal(split([Buffer.from([2])]).end, 'inside')
  assert.equal(split([Buffer.from([2, 1])]).end, 'inside')
  assert.equal(split([Buffer.from([2, 1, 1])]).end, 'boundary')
})

const REFUSED: Readonly<Record<string, readonly [string, string]>> = {
  'padded to two bytes': ['8000', 'LVT_FRAME_LENGTH_INVALID'],
  'of 1, padded to two bytes': ['8100', 'LVT_FRAME_LENGTH_INVALID'],
  'padded to four bytes': ['ff808000', 'LVT_FRAME_LENGTH_INVALID'],
  'of five bytes': ['8080808001', 'LVT_FRAME_LENGTH_INVALID'],
  'of 2^31 - 1': ['ffffffff07', 'LVT_FRAME_LENGTH_INVALID'],
  'of 2^32 - 1': ['ffffffff0f', 'LVT_FRAME_LENGTH_INVALID'],
  'of -1': ['ffffffffffffffffff01', 'LVT_FRAME_LENGTH_INVALID'],
  'of 2^28 - 1': ['ffffff7f', 'LVT_FRAME_TOO_LARGE'],
  'one above the limit': ['81808004', 'LVT_FRAME_TOO_LARGE'],
  'that begins an HTTP request': [Buffer.from('GET / HTTP/1.1\r\n').toString('hex'), 'LVT_FRAME_TOO_LARGE'],
}

for (const [what, [bytes, code]] of Object.entries(REFUSED)) {
  test(`refuses a length ${what} before anything is allocated, at once or byte by byte`, () => {
    const max = what.includes('HTTP') ? 16 : FRAME_BYTES_MAX
    const stream = Buffer.from(bytes, 'hex')
    for (const chunks of [[stream], [...stream].map((byte) => Buffer.from([byte]))]) {
      const before = process.memoryUsage().arrayBuffers
      const splitter = new FrameSplitter(max)
      assert.throws(
        () => {
          for (const chunk of chunks) {
            splitter.push(chunk)
            while (splitter.next()) assert.fail('a frame came out')
          }
        },
        { name: 'ProtocolError', code },
      )
      assert.ok(process.memoryUsage().arrayBuffers - before < MIB)
    }
  })
}

test('takes a frame of exactly the limit', () => {
  const frame = new Uint8Array(300).fill(7)
  assert.deepEqual(split([framed([frame])], 300), { frames: hexOf([frame]), end: 'boundary' })
  assert.equal(split([framed([frame])], 299).end, 'refused')
})

test('a frame that is announced and does not come costs next to nothing', () => {
  const before = process.memoryUsage().arrayBuffers
  const splitters = Array.from({ length: 1_000 }, () => {
    const splitter = new FrameSplitter(FRAME_BYTES_MAX)
    splitter.push(Buffer.from('80808004ab', 'hex'))
    assert.equal(splitter.next(), false)
    return splitter
  })
  const grownBytes = process.memoryUsage().arrayBuffers - before
  assert.ok(splitters.every((splitter) => splitter.inFrame))
  assert.ok(grownBytes < MIB, `1,000 announced frames of 8 MiB hold ${grownBytes} bytes`)
})

test('a frame that comes byte by byte holds at most twice what has arrived', () => {
  const before = process.memoryUsage().arrayBuffers
  const splitter = new FrameSplitter(FRAME_BYTES_MAX)
  const one = Buffer.from([0x55])
  splitter.push(Buffer.from('80808004', 'hex'))
  assert.equal(splitter.next(), false)
  for (let byte = 0; byte < MIB; byte++) {
    splitter.push(one)
    assert.equal(splitter.next(), false)
  }
  globalThis.gc?.()
  const heldBytes = process.memoryUsage().arrayBuffers - before
  // Until the next collection the buffers it grew out of may be counted too: together they are as large again.
  assert.ok(heldBytes < 4.5 * MIB, `1 MiB that came byte by byte holds ${heldBytes} bytes`)
})

test('between two chunks it holds on to none of them', () => {
  const splitter = new FrameSplitter(FRAME_BYTES_MAX)
  splitter.push(framed([new Uint8Array(100), new Uint8Array(3)]))
  assert.equal(splitter.next(), true)
  assert.equal(splitter.buffer.length, 105)
  assert.equal(splitter.next(), true)
  assert.equal(splitter.next(), false)
  assert.equal(splitter.buffer.length, 0)
})

test('a frame that was cut has memory of its own, which the next frames do not touch', () => {
  const splitter = new FrameSplitter(FRAME_BYTES_MAX)
  const kept: Buffer[] = []
  for (const chunk of ['02', 'aa', 'bb02cc', 'dd', '02eeff']) {
    splitter.push(Buffer.from(chunk, 'hex'))
    while (splitter.next()) kept.push(splitter.buffer.subarray(splitter.start, splitter.end))
  }
  assert.deepEqual(hexOf(kept), ['aabb', 'ccdd', 'eeff'])
})
