/** Tickets, messages as records, and numbers as Floki reads them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { digitsOf, durationMsOf, sizeOf, ticketOf, unsigned } from '../../../src/gateways/resp/floki/floki-arguments.js'
import { FlokiFault } from '../../../src/gateways/resp/floki/floki-fault.js'
import { MessageReplies, messageBytes, messageRun } from '../../../src/gateways/resp/floki/message-record.js'
import { TicketDraw, Tickets } from '../../../src/gateways/resp/floki/tickets.js'
import { RequestParser } from '../../../src/gateways/resp/request-parser.js'
import { fc } from '../../helpers/fast-check.js'
import { requestOf } from '../../helpers/resp-values.js'

/** Ids that repeat, so that a ticket is drawn that is in use. */
function drawOf(...digits: readonly string[]): TicketDraw {
  let next = 0
  const id = (bytes: number): string => (digits[next++] ?? '').repeat(2 * bytes).slice(0, 2 * bytes)
  return new TicketDraw({ next: () => 0, id })
}

test('a ticket that is in use is not drawn again', () => {
  const tickets = new Tickets(drawOf('0', '1', 'f'))
  const first = tickets.give(5)
  assert.equal(first, 1)
  const second = tickets.give(6)
  assert.equal(second, Number.parseInt('1'.repeat(13), 16) + 1)
  assert.equal(tickets.give(7), 2 ** 52)
  assert.deepEqual([tickets.take(first), tickets.take(first), tickets.take(second)], [5, null, 6])
  assert.equal(tickets.size, 1)
})

test('tickets are what a plain map of offsets says', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('give' as const), from: fc.nat(30), to: fc.constant(0) }),
    fc.record({ kind: fc.constant('take' as const), from: fc.nat(30), to: fc.constant(0) }),
    fc.record({ kind: fc.constant('drop' as const), from: fc.nat(30), to: fc.oneof(fc.nat(40), fc.constant(1e12)) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let drawn = 0
      const id = (bytes: number): string =>
        Array.from({ length: (2 * bytes) / 13 }, () => (drawn++).toString(16).padStart(13, '0')).join('')
      const tickets = new Tickets(new TicketDraw({ next: () => 0, id }))
      const model = new Map<number, number>()
      for (const { kind, from, to } of steps) {
        if (kind === 'give') model.set(from, tickets.give(from))
        else if (kind === 'take') {
          const ticket = model.get(from)
          assert.equal(tickets.take(ticket ?? -1), ticket === undefined ? null : from)
          model.delete(from)
        } else {
          tickets.dropRange(from, to)
          for (const offset of [...model.keys()]) if (offset >= from && offset < to) model.delete(offset)
        }
        assert.equal(tickets.size, model.size)
      }
    }),
  )
})

test('messages are records with a payload, and come back as they were', () => {
  const length = fc.oneof(fc.nat(200), fc.constantFrom(0, 125, 126, 127, 128, 16_380, 16_381, 16_384, 70_000))
  fc.assert(
    fc.property(fc.array(length, { minLength: 1, maxLength: 5 }), (lengths) => {
      const bodies = lengths.map((size, index) => Buffer.alloc(size, 65 + index))
      const parser = new RequestParser({ elementsMax: 100, bulkBytesMax: 1e6, requestBytesMax: 1e6 })
      parser.push(Buffer.concat([requestOf('RPUSH', 'q', ...bodies), requestOf('RPUSH', 'q', 'behind it')]))
      assert.ok(parser.next())
      const bytes = lengths.reduce((sum, size) => sum + messageBytes(size), 0)
      const { buffer, start, end } = messageRun(parser.request, 2, bytes)
      assert.equal(end - start, bytes)
      const body = buffer.subarray(start, end)
      const replies = new MessageReplies(10, 1)
      const expected = [Buffer.from(`*${bodies.length}\r\n`)]
      let position = 0
      for (const [index, sent] of bodies.entries()) {
        position = replies.add(body, position, index + 1, 2 ** 52 - index)
        const head = `*3\r\n:${index + 1}\r\n:${2 ** 52 - index}\r\n$${sent.length}\r\n`
        expected.push(Buffer.from(head), sent, Buffer.from('\r\n'))
      }
      assert.equal(position, bytes)
      assert.ok(replies.answer().equals(Buffer.concat(expected)))
      // One alone is laid out where it arrived.
      assert.ok(parser.next())
      assert.equal(parser.request.shown(2), 'behind it')
    }),
  )
})

test('numbers, sizes and durations are read as Floki does', () => {
  const no = (read: () => unknown) => assert.throws(read, FlokiFault)
  assert.deepEqual([unsigned('+7', 'no'), unsigned('18446744073709551615', 'no')], [7, Number.MAX_SAFE_INTEGER])
  const digits = (text: string): number => digitsOf(Buffer.from(`x${text}x`), 1, 1 + text.length)
  for (const text of ['', '+1', '-1', '1a', '9007199254740992', '99999999999999999']) assert.equal(digits(text), -1)
  for (const text of ['0', '007', '4503599627370496', '9007199254740991']) assert.equal(digits(text), Number(text))
  for (const text of ['', '+', '-1', '1.0', ' 1', '18446744073709551616']) no(() => unsigned(text, 'no'))
  assert.deepEqual([ticketOf('-5'), ticketOf('+9223372036854775807'), ticketOf('-9223372036854775808')], [-5, 0, 0])
  for (const text of ['', 'x', '9223372036854775808', '-9223372036854775809']) no(() => ticketOf(text))
  assert.deepEqual(['1', '2B', '3k', '4KB', '5m', '6gb'].map(sizeOf), [1, 2, 3072, 4096, 5 * 2 ** 20, 6 * 2 ** 30])
  assert.deepEqual(['1', '2S', '3ms', '4m', '5h', '6D'].map(durationMsOf), [1e3, 2e3, 3, 24e4, 18e6, 5184e5])
  for (const text of ['', 'k', '-1k', '1kk', '1 k', '1h30m', '18446744073709551616']) {
    no(() => sizeOf(text))
    no(() => durationMsOf(text))
  }
})
