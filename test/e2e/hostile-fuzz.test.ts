/**
 * Structure-aware fuzz of a real server: frames of every kind, some with changed bytes, cut anywhere. A bounded share of
 * what a longer run would do; a failure prints its seed. Whatever comes, the server answers in whole frames that a stock
 * library can read, ends what it cannot read, serves the others, and does not grow.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { ClientFrame, SubscribeFrame } from '../../src/protocol/frames.js'
import { arbChanges, arbClientFrame, arbCuts, changeBytes } from '../helpers/arbitraries.js'
import { fc } from '../helpers/fast-check.js'
import { type Server, startServer } from '../helpers/leveret-process.js'
import { grownBytes, residentBytes } from '../helpers/process-memory.js'
import { framedMessage, RawPeer } from '../helpers/raw-peer.js'
import { stockClientFrame } from '../helpers/stock-frames.js'
import type { StockMessage } from '../helpers/stock-protobuf.js'

const MIB = 1024 * 1024
const ROUNDS = 400
const CONNECTIONS = 8
const WITHIN = { timeout: 150_000 }

let server: Server
let witness: RawPeer

before(async () => {
  server = await startServer(['--handshake-timeout', '1s', '--frame-timeout', '1s', '--max-frame-bytes', '1MiB'])
  witness = await RawPeer.connect(server.port)
  await witness.ping()
  for (const place of [2, 3]) {
    await witness.request({
      createTopic: { topic: `common ${place}`, settings: { retainForever: true, partitions: 2 } },
    })
  }
})

after(async () => {
  witness.destroy()
  const { stderr } = await server.stop()
  assert.equal(stderr, '')
})

/** Half of the frames as they are drawn; the others meet on a few topics and subscriptions, where there is more to break. */
const arbGood = fc
  .tuple(arbClientFrame, fc.nat({ max: 7 }))
  .map(([frame, place]) => framedMessage(stockClientFrame(place < 4 ? onCommonGround(frame, place) : frame)))

function onCommonGround(frame: ClientFrame, place: number): ClientFrame {
  const subscription = place % 2
  const topic = `common ${place}`
  switch (frame.kind) {
    case 'publish':
      return { ...frame, id: place + 1, topic, partition: null, expectedOffset: null, producer: '', sequence: null }
    case 'subscribe':
      return subscribing({ ...frame, id: place + 1, topic, subscription, window: place + 1 }, place)
    case 'commit':
      return place < 2
        ? { ...frame, subscription, partition: 0, outcome: 'ack' }
        : { ...frame, subscription, partition: 0 }
    case 'manage-group':
      return { ...frame, topic, group: `group ${place}` }
    case 'unsubscribe':
      return { ...frame, subscription }
    case 'describe':
      return { ...frame, topic, group: '' }
    default:
      return frame
  }
}

/** Topics that keep nothing are read by cursors, the others by groups. */
function subscribing(frame: SubscribeFrame, place: number): SubscribeFrame {
  if (place < 2) return { ...frame, mode: 'cursor', group: '', backoffMs: [] }
  const mode = place === 2 ? 'shared' : 'partitioned'
  const backoffMs = place === 2 ? frame.backoffMs : []
  return {
    ...frame,
    mode,
    group: `group ${place}`,
    member: 'm',
    untilOffset: null,
    start: { kind: 'earliest' },
    backoffMs,
  }
}

/** Changed inside, with a length that fits: a malformed body in a well-delimited frame. */
const arbBadBody = fc.tuple(arbGood, arbChanges).map(([bytes, changes]) => {
  const body = changeBytes(bytes.subarray(lengthBytes(bytes)), changes)
  return Buffer.concat([lengthOf(body.length), body])
})

/** Changed anywhere, the length included: the stream may fall apart. */
const arbBadStream = fc.tuple(arbGood, arbChanges).map(([bytes, changes]) => changeBytes(bytes, changes))

function lengthBytes(framed: Buffer): number {
  return framed.findIndex((byte) => byte < 0x80) + 1
}

function lengthOf(length: number): Buffer {
  const bytes: number[] = []
  let rest = length
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return Buffer.from([...bytes, rest])
}

/** A server says only what the contract knows, with a code where something failed. */
function assertKnown(frame: StockMessage): void {
  const kinds = [
    'welcome',
    'done',
    'published',
    'failure',
    'delivery',
    'lostRange',
    'ended',
    'pong',
    'description',
    'assigned',
    'closing',
  ]
  const kind = Object.keys(frame).find((name) => name !== 'id')
  assert.ok(kind !== undefined && kinds.includes(kind), JSON.stringify(frame))
  if (kind !== 'failure' && kind !== 'closing') return
  const { code = '' } = frame[kind] as { code?: string }
  assert.match(code, /^LVT_[A-Z_]+$/)
  assert.notEqual(code, 'LVT_INTERNAL', JSON.stringify(frame))
}

/** Send the chunks, say that nothing more comes, and read until the server ends too. */
async function converse(chunks: readonly Buffer[]): Promise<StockMessage[]> {
  using peer = await RawPeer.connect(server.port)
  for (const chunk of chunks) {
    peer.write(chunk)
    // Let each chunk leave by itself, so that the server sees the cut.
    await new Promise((resolve) => setImmediate(resolve))
  }
  peer.socket.end()
  const frames = await peer.rest()
  assert.equal(peer.pendingBytes, 0, 'what the server says are whole frames')
  frames.forEach(assertKnown)
  return frames
}

const arbConversation = (arbFrame: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer[]> =>
  fc
    .array(arbFrame, { minLength: 1, maxLength: 10 })
    .chain((frames) => arbCuts(Buffer.concat([framedMessage({ id: 1, ping: {} }), ...frames])))

const arbConversations = (arbFrame: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer[][]> =>
  fc.array(arbConversation(arbFrame), { minLength: CONNECTIONS, maxLength: CONNECTIONS })

for (const [what, arbFrame] of [
  ['good frames', arbGood],
  ['frames with changed bodies', fc.oneof(arbGood, arbBadBody)],
  ['streams with any bytes changed', fc.oneof(arbGood, arbBadBody, arbBadStream)],
] as const) {
  test(`${what}, cut anywhere, get typed answers, and nobody else notices`, WITHIN, async () => {
    const { pid } = server.process.child
    const atStart = residentBytes(pid)
    const kinds = new Set<string>()
    await fc.assert(
      fc.asyncProperty(arbConversations(arbFrame), async (conversations) => {
        const answers = await Promise.all(conversations.map(converse))
        for (const frame of answers.flat()) for (const kind of Object.keys(frame)) kinds.add(kind)
        await witness.ping()
      }),
      { numRuns: ROUNDS },
    )
    for (const kind of ['pong', 'done', 'published', 'delivery', 'failure', 'closing'])
      assert.ok(kinds.has(kind), `${kind} came up`)
    const receipt = await witness.request({ publish: { topic: 'witness', records: [{ payload: Buffer.from('x') }] } })
    assert.ok('published' in receipt)
    const grown = grownBytes(pid, atStart)
    assert.ok(grown < 96 * MIB, `the server grew by ${grown} bytes`)
  })
}

/**
 * Refusals of what is malformed depend on the bytes alone; other answers also on what is in the topics by then, and on
 * which subscriptions have ended. A publish may be refused after what follows it, so the order is left out.
 */
function refusals(frames: readonly StockMessage[]): string[] {
  const all = frames.flatMap(({ id = 0, failure }) => {
    const { code = '' } = (failure ?? {}) as { code?: string }
    return code === 'LVT_PROTOCOL' ? [`${id} ${code}`] : []
  })
  return all.sort()
}

test('the same bytes whole and cut are refused the same', WITHIN, async () => {
  const arbBytes = fc
    .array(fc.oneof(arbGood, arbBadBody), { minLength: 1, maxLength: 6 })
    .map((all) => Buffer.concat(all))
  const arbPair = arbBytes.chain((bytes) => fc.tuple(fc.constant(bytes), arbCuts(bytes)))
  let compared = 0
  await fc.assert(
    fc.asyncProperty(arbPair, async ([whole, chunks]) => {
      const hello = framedMessage({ id: 1, ping: {} })
      const expected = refusals(await converse([hello, whole]))
      assert.deepEqual(refusals(await converse([hello, ...chunks])), expected)
      compared += expected.length
    }),
    { numRuns: 200 },
  )
  assert.ok(compared > 50, `only ${compared} refusals were compared: the test has lost its sense`)
})
