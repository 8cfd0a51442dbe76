/**
 * Streams of RESP requests for fast-check, good and bad, and what a parser makes of them: the same however they are cut, never
 * anything but requests and one fault, in no time, and in no more memory than the bytes that are there.
 */
import assert from 'node:assert/strict'
import { type RequestLimits, RequestParser } from '../../src/gateways/resp/request-parser.js'
import { RespFault } from '../../src/gateways/resp/resp-fault.js'
import { fc } from './fast-check.js'

export const LIMITS: RequestLimits = { elementsMax: 64, bulkBytesMax: 4096, requestBytesMax: 8192 }
/** Nothing that fits into the limits takes so long, on the slowest of machines. */
const HANG_MS = 1000

export interface Parsed {
  readonly shape: string
  readonly words: readonly string[]
  readonly lines: number
  readonly oddities: number
}

export interface Outcome {
  readonly requests: Parsed[]
  readonly fault: string | null
}

/** What a parser makes of chunks: requests, and how it ended. Chunks are wiped when they have been read. */
export function parse(chunks: readonly Buffer[], limits = LIMITS): Outcome {
  const parser = new RequestParser(limits)
  const { request } = parser
  const requests: Parsed[] = []
  let arrived = 0
  try {
    for (const bytes of chunks) {
      const chunk = Buffer.from(bytes)
      arrived += chunk.length
      parser.push(chunk)
      while (parser.next()) {
        const words = Array.from({ length: request.count }, (_, index) => request.bytes(index).toString('latin1'))
        requests.push({ shape: request.shape, words, lines: request.lines, oddities: request.oddities })
      }
      chunk.fill(0xff)
      // Room for all of a string is made when an eighth of it is there.
      assert.ok(parser.heldBytes <= 8 * arrived + 1024, `${parser.heldBytes} bytes held of ${arrived}`)
    }
  } catch (error) {
    assert.ok(error instanceof RespFault, String(error))
    return { requests, fault: `${error.kind} ${error.detail}`.trim() }
  }
  return { requests, fault: null }
}

export function whole(text: string | Buffer, limits = LIMITS): Outcome {
  return parse([Buffer.from(text as string, 'latin1')], limits)
}

/** Cut at the given places, which need not be sorted or inside. */
export function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b)
  const bounds = [0, ...sorted, bytes.length]
  return bounds.slice(1).map((end, index) => bytes.subarray(bounds[index], end))
}

export function singly(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))
}

export const arbWord = fc.uint8Array({ maxLength: 40 })

/** Elements of all kinds, valid or not, framed properly. */
const arbElement = fc.oneof(
  {
    weight: 6,
    arbitrary: arbWord.map((bytes) => Buffer.concat([Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')])),
  },
  { weight: 2, arbitrary: fc.stringMatching(/^[ -~]{0,20}$/).map((text) => Buffer.from(`+${text}\r\n`)) },
  fc.stringMatching(/^[ -~\r]{0,10}x$/).map((text) => Buffer.from(`-${text}\r\n`)),
  fc.integer().map((value) => Buffer.from(`:${value}\r\n`)),
  fc.constantFrom('$-1\r\n', '*-1\r\n', '*0\r\n', '*2\r\n$1\r\na\r\n:5\r\n').map((text) => Buffer.from(text)),
)
const arbFramed = fc
  .array(arbElement, { maxLength: 8 })
  .map((parts) => Buffer.concat([Buffer.from(`*${parts.length}\r\n`), ...parts]))
const arbTyped = fc
  .stringMatching(/^[ \t]{0,2}[a-z]{1,8}( [a-z0-9:$]{1,8}){0,3}$/)
  .map((line) => Buffer.from(`${line}\r\n`))

/** Requests that are framed as they should be, arrays and lines. */
export const arbStream = fc
  .array(fc.oneof({ weight: 5, arbitrary: arbFramed }, arbTyped), { maxLength: 6 })
  .map((parts) => Buffer.concat(parts))

/** The same with some bytes changed, taken away or put in between. */
export const arbDamaged = fc
  .tuple(arbStream, fc.array(fc.tuple(fc.nat(), fc.nat(255), fc.nat(3)), { minLength: 1, maxLength: 4 }))
  .map(([bytes, changes]) => {
    let damaged = Buffer.from(bytes)
    for (const [place, byte, how] of changes) {
      const at = place % (damaged.length + 1)
      const rest = damaged.subarray(how === 0 ? at : at + 1)
      damaged = Buffer.concat([damaged.subarray(0, at), how === 1 ? Buffer.alloc(0) : Buffer.from([byte]), rest])
    }
    return damaged
  })

/** Pieces of the grammar in any order. */
export const arbNoise = fc
  .array(
    fc.oneof(
      fc.constantFrom('*', '$', '+', '-', ':', '\r\n', '\r', '\n', '0', '1', '3', '-1', '99', 'a ', '"', "'"),
      fc.constantFrom('2147483647', '4294967295', '9223372036854775808', '-2147483648', '00000000000000000001'),
      fc.string({ maxLength: 3 }),
    ),
    { maxLength: 60 },
  )
  .map((parts) => Buffer.from(parts.join(''), 'latin1'))

/** Whatever comes, parsed whole, in pieces and byte by byte; how many streams were refused. Throws with the seed. */
export function fuzzParser(seed: number, runs: number): { readonly refused: number; readonly requests: number } {
  let refused = 0
  let requests = 0
  const arbBytes = fc.oneof(arbStream, { weight: 2, arbitrary: arbDamaged }, arbNoise)
  fc.assert(
    fc.property(arbBytes, fc.array(fc.nat(2000), { maxLength: 10 }), (bytes, places) => {
      const startedMs = performance.now()
      const expected = whole(bytes)
      assert.deepEqual(parse(cut(bytes, places)), expected)
      assert.deepEqual(parse(singly(bytes)), expected)
      const tookMs = performance.now() - startedMs
      assert.ok(tookMs < HANG_MS, `${bytes.length} bytes took ${tookMs} ms`)
      if (expected.fault !== null) refused++
      requests += expected.requests.length
    }),
    { seed, numRuns: runs },
  )
  return { refused, requests }
}
