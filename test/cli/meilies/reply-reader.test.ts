import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Reply, ReplyReader } from '../../../src/cli/meilies/reply-reader.js'
import { fc } from '../../helpers/fast-check.js'

const text = fc.string({ maxLength: 20 }).filter((value) => !/[\r\n]/.test(value))
const { reply: arbReply } = fc.letrec<{ reply: Reply }>((tie) => ({
  reply: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.record({ kind: fc.constantFrom('line' as const, 'error' as const), text }),
    fc.record({ kind: fc.constant('number' as const), value: fc.maxSafeInteger() }),
    fc.record({
      kind: fc.constant('bytes' as const),
      bytes: fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
    }),
    fc.constant({ kind: 'nil' as const }),
    fc.record({
      kind: fc.constant('list' as const),
      items: fc.array(tie('reply'), { maxLength: 4, depthIdentifier: 'list' }),
    }),
  ),
}))

function depthOf(reply: Reply): number {
  return reply.kind === 'list' ? 1 + Math.max(0, ...reply.items.map(depthOf)) : 0
}

function bytesOf(reply: Reply): Buffer {
  switch (reply.kind) {
    case 'line':
      return Buffer.from(`+${reply.text}\r\n`)
    case 'error':
      return Buffer.from(`-${reply.text}\r\n`)
    case 'number':
      return Buffer.from(`:${reply.value}\r\n`)
    case 'bytes':
      return Buffer.concat([Buffer.from(`$${reply.bytes.length}\r\n`), reply.bytes, Buffer.from('\r\n')])
    case 'nil':
      return Buffer.from('$-1\r\n')
    case 'list':
      return Buffer.concat([Buffer.from(`*${reply.items.length}\r\n`), ...reply.items.map(bytesOf)])
  }
}

function readAll(chunks: readonly Buffer[]): Reply[] {
  const reader = new ReplyReader()
  const replies: Reply[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    for (let reply = reader.next(); reply !== null; reply = reader.next()) replies.push(reply)
  }
  return replies
}

test('reads what a server says, however it is cut', () => {
  const arbReplies = fc.array(
    arbReply.filter((reply) => depthOf(reply) <= 4),
    { maxLength: 6 },
  )
  fc.assert(
    fc.property(arbReplies, fc.nat(), (replies, place) => {
      const bytes = Buffer.concat(replies.map(bytesOf))
      const at = place % (bytes.length + 1)
      const singly = Array.from(bytes, (_, index) => bytes.subarray(index, index + 1))
      for (const chunks of [[bytes], [bytes.subarray(0, at), bytes.subarray(at)], singly]) {
        assert.deepEqual(Buffer.concat(readAll(chunks).map(bytesOf)), bytes)
      }
    }),
  )
})

test('reads much that comes in pieces in the time of its bytes', () => {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  const chunks = Array.from({ length: 1024 }, () => chunk)
  const startedMs = performance.now()
  const [reply] = readAll([Buffer.from(`$${chunks.length * chunk.length}\r\n`), ...chunks, Buffer.from('\r\n')])
  assert.ok(reply?.kind === 'bytes' && reply.bytes.length === 64 * 1024 * 1024)
  assert.ok(performance.now() - startedMs < 5_000)
})

for (const text of [
  'HTTP/1.1 400\r\n',
  '*x\r\n',
  '$1.5\r\n',
  '$99999999999\r\n',
  '*99999999999\r\n',
  `${'*1\r\n'.repeat(9)}`,
]) {
  test(`refuses ${JSON.stringify(text)}`, () => {
    assert.throws(() => readAll([Buffer.from(text)]), { code: 'LVT_PROTOCOL' })
  })
}
