import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplyQueue } from '../../../src/gateways/resp/reply-queue.js'
import { Outbox, OutboxSlab } from '../../../src/transport/outbox.js'
import { fc } from '../../helpers/fast-check.js'

test('replies leave in the order of their requests, whenever they are settled, and as soon as they may', () => {
  /** true: a request that is answered at once; a number: one that is settled after so many others, in any order. */
  const request = fc.oneof(fc.constant(true as const), fc.nat(50))
  fc.assert(
    fc.property(fc.array(request, { maxLength: 300 }), (requests) => {
      const outbox = new Outbox(new OutboxSlab())
      const queue = new ReplyQueue(outbox, 1_000_000)
      const written: string[] = []
      const settled: boolean[] = []
      const open: { ticket: number; index: number; due: number }[] = []
      const check = (): void => {
        for (const chunk of outbox.take()) written.push(...chunk.toString().trim().split('\n'))
        const firstOpen = settled.indexOf(false)
        const ready = firstOpen < 0 ? settled.length : firstOpen
        assert.deepEqual(
          written,
          settled.slice(0, ready).map((_, index) => String(index)),
        )
        assert.equal(queue.pending, settled.length - ready)
        assert.equal(queue.held, settled.slice(ready).filter(Boolean).length)
      }
      const settle = (isDue: (due: number) => boolean): void => {
        for (const one of open.filter(({ due }) => isDue(due)).sort((a, b) => a.due - b.due)) {
          open.splice(open.indexOf(one), 1)
          settled[one.index] = true
          queue.settle(one.ticket, Buffer.from(`${one.index}\n`))
          check()
        }
      }
      for (const [index, kind] of requests.entries()) {
        settled.push(kind === true)
        if (kind === true) queue.add(Buffer.from(`${index}\n`))
        else open.push({ ticket: queue.open(), index, due: index + kind })
        check()
        settle((due) => due <= index)
      }
      settle(() => true)
      assert.equal(queue.pending, 0)
    }),
  )
})

test('is full with too many requests, or too many bytes behind one that waits', () => {
  const queue = new ReplyQueue(new Outbox(new OutboxSlab()), 100)
  const first = queue.open()
  queue.add(Buffer.alloc(100))
  assert.equal(queue.isFull, false)
  queue.add(Buffer.alloc(1))
  assert.equal(queue.isFull, true)
  queue.settle(first, Buffer.alloc(1))
  assert.equal(queue.isFull, false)
  const tickets = Array.from({ length: 16_384 }, () => queue.open())
  assert.equal(queue.isFull, true)
  for (const ticket of tickets) {
    queue.settle(ticket, Buffer.alloc(1))
    assert.equal(queue.isFull, false)
  }
})

test('replies leave in order, however many were settled while others are still pending', () => {
  const outbox = new Outbox(new OutboxSlab())
  const queue = new ReplyQueue(outbox, 1_000_000)
  const tickets = Array.from({ length: 10 }, () => queue.open())
  let written = ''
  for (let index = 0; index < 20_000; index++) {
    tickets.push(queue.open())
    queue.settle(tickets[index] as number, Buffer.from(`${index}\n`))
    written += Buffer.concat(outbox.take()).toString()
    assert.equal(queue.pending, 10)
  }
  assert.equal(written, Array.from({ length: 20_000 }, (_, index) => `${index}\n`).join(''))
})
