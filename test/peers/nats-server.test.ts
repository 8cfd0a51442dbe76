/**
 * nats-server itself still answers as it was written down, which is what leveret is held to; and to what nobody wrote down both
 * answer alike.
 */
import assert from 'node:assert/strict'
import { tmpdir } from 'node:os'
import { after, before, describe, test } from 'node:test'
import type { ChildServer } from '../../bench/harness/child-server.js'
import { findNats, startNats } from '../../bench/peers/nats.js'
import { createBroker } from '../../src/index.js'
import { fc } from '../helpers/fast-check.js'
import { natsAnswers } from '../helpers/nats-answers.js'
import { CONVERSATIONS, type Conversation, converse } from '../helpers/nats-conversations.js'
import { MODERN, QUIET } from '../helpers/nats-peer.js'
import { natsPort } from '../helpers/nats-streaming-server.js'
import { findPeer } from '../helpers/peer.js'

const peer = findPeer('nats-server')
const nats = findNats()
const answers = natsAnswers()

const gap = fc.constantFrom(' ', ' ', ' ', '  ', '\t')
const end = fc.constantFrom('\r\n', '\r\n', '\n')
const token = fc.constantFrom('a', 'b', 'a', 'b', 'c', '*', '>', 'a*', '\xe9', '')
const subject = fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => tokens.join('.'))
const sid = fc.constantFrom('1', '2', '3', 'x')
const payload = fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const size = (bytes: number) =>
  fc.oneof({ weight: 15, arbitrary: fc.constant(String(bytes)) }, fc.constantFrom('1', 'x', '-1', ''))
const line = (...words: fc.Arbitrary<string>[]) =>
  fc.tuple(gap, end, ...words).map(([space, last, ...rest]) => rest.join(space) + last)
const name = (text: string) => fc.constantFrom(text, text, text.toLowerCase())
const pub = payload.chain((body) =>
  fc
    .oneof(line(name('PUB'), subject, size(body.length)), line(name('PUB'), subject, subject, size(body.length)))
    .map((head) => `${head}${body}\r\n`),
)
const BLOCK = 'NATS/1.0\r\nk: v\r\n\r\n'
const hpub = payload.chain((body) =>
  fc
    .oneof(
      line(name('HPUB'), subject, size(BLOCK.length), size(BLOCK.length + body.length)),
      line(name('HPUB'), subject, subject, size(BLOCK.length), size(BLOCK.length + body.length)),
    )
    .map((head) => `${head}${BLOCK}${body}\r\n`),
)
const option = fc.constantFrom('verbose', 'pedantic', 'echo', 'headers', 'no_responders', 'name')
const connect = fc
  .array(fc.tuple(option, fc.boolean()), { maxLength: 3 })
  .map((options) => `CONNECT ${JSON.stringify(Object.fromEntries(options))}\r\n`)
const operation = fc.oneof(
  { weight: 6, arbitrary: line(name('SUB'), subject, sid) },
  { weight: 2, arbitrary: line(name('UNSUB'), sid) },
  { weight: 2, arbitrary: line(name('UNSUB'), sid, fc.constantFrom('0', '1', '2', '3', 'x')) },
  { weight: 10, arbitrary: pub },
  { weight: 5, arbitrary: hpub },
  connect,
)
const conversation: fc.Arbitrary<Conversation> = fc
  .tuple(fc.constantFrom('', QUIET, QUIET, MODERN, MODERN), fc.array(operation, { minLength: 1, maxLength: 25 }))
  .map(([hello, operations]) => ({
    title: 'of chance',
    isUnordered: true,
    steps: [hello, ...operations].map((bytes) => [0, bytes] as const),
  }))

/** What may differ: which of several subscriptions is told that nobody is there, and a complaint that comes just before the end. */
function comparable(answers: readonly (readonly string[])[]): string[][] {
  return answers.map((each) =>
    each.map((text) =>
      text
        .replace(/HMSG (\S+) \S+ 16 16/g, 'HMSG $1 ? 16 16')
        .replace("-ERR 'Invalid Publish Subject'\r\n-ERR 'Unknown", "-ERR 'Unknown"),
    ),
  )
}

describe('nats-server', { skip: peer.found ? false : peer.skip }, () => {
  let server: ChildServer | null = null

  before(async () => {
    assert.ok(nats !== null)
    server = await startNats(nats, tmpdir())
  })

  after(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  for (const conversation of CONVERSATIONS) {
    test(`answers as it was written down: ${conversation.title}`, { timeout: 10_000 }, async () => {
      assert.ok(server !== null)
      assert.deepEqual(await converse(server.port, conversation), answers.get(conversation.title))
    })
  }

  test('answers like leveret to whatever is said', { timeout: 120_000 }, async (t) => {
    const broker = await createBroker({ natsStreaming: 0 })
    t.after(() => broker.stop({ deadlineMs: 0 }))
    await fc.assert(
      fc.asyncProperty(conversation, async (each) => {
        assert.ok(server !== null)
        const ours = await converse(natsPort(broker), each)
        assert.deepEqual(comparable(ours), comparable(await converse(server.port, each)))
      }),
      { numRuns: Number(process.env.LEVERET_NATS_CONVERSATIONS ?? 500) },
    )
  })
})
