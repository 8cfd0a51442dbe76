/** The channel of a queue by itself: what it asks its group for, what it counts, and when it gives up. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GroupMember } from '../../../src/broker/group-member.js'
import type { Topic } from '../../../src/broker/topic.js'
import type { Clock } from '../../../src/common/clock.js'
import { Channel, type Fetched } from '../../../src/gateways/resp/floki/channel.js'
import { MessageReplies } from '../../../src/gateways/resp/floki/message-record.js'
import { TicketDraw } from '../../../src/gateways/resp/floki/tickets.js'
import { type Offset, toOffset } from '../../../src/model/offset.js'
import type { Share } from '../../../src/storage/engine.js'
import { batchAt } from '../../helpers/batches.js'
import { SeededRandom } from '../../helpers/faulty-random.js'

interface Range {
  readonly from: Offset
  readonly to: Offset
}

/** Timers fire when the test says so, whatever the time is. */
class LooseClock implements Clock {
  nowMs = 0
  readonly timers: { readonly delayMs: number; readonly callback: () => void }[] = []

  now(): number {
    return this.nowMs
  }

  monotonic(): number {
    return this.nowMs
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    this.timers.push({ delayMs, callback })
    return { cancel: () => undefined }
  }

  every(): { cancel(): void } {
    throw new Error('nothing here comes again and again')
  }
}

function channelOn(clock = new LooseClock()) {
  const asked: number[] = []
  const settled: string[] = []
  const group = { stale: [] as readonly Range[] }
  const share: Share = {
    ask: (records) => {
      asked.push(records)
    },
    settle: (_partition, from, to, { kind }) => {
      settled.push(`${kind} ${from}-${to}`)
      return Promise.resolve(group.stale.filter((range) => range.from >= from && range.to <= to))
    },
    leave: () => undefined,
  }
  const draw = new TicketDraw(new SeededRandom(1))
  const channel = new Channel('c', { clock, draw, fetchBytesMax: 1_000_000, ended: () => undefined })
  // It counts its members, and is asked for nothing else.
  const member = new GroupMember({ members: 0 } as Topic, channel)
  member.sit(share)
  channel.sit(member)
  const bring = (from: number, to: number, era = 0): void =>
    channel.delivered({
      partition: 0,
      batch: batchAt(0, 10),
      era,
      isAside: false,
      from: toOffset(from),
      to: toOffset(to),
      deliveryCount: 0,
    })
  return { channel, clock, asked, settled, group, bring }
}

/** Ids and tickets. */
function taken(fetched: Fetched | undefined): (readonly [id: number, ticket: number])[] {
  assert.ok(fetched instanceof MessageReplies, String(fetched))
  const text = fetched.answer().toString('latin1')
  return [...text.matchAll(/\*3\r\n:(\d+)\r\n:(\d+)/g)].map(([, id, ticket]) => [Number(id), Number(ticket)])
}

test('asks again for as many as a seek made it pass over', () => {
  const { channel, asked, settled, bring } = channelOn()
  const answers: Fetched[] = []
  channel.sought(3)
  channel.fetch(4, 1_000, (fetched) => answers.push(fetched))
  assert.equal(asked.at(-1), 4)
  bring(1, 5)
  assert.deepEqual(settled, ['ack 1-3'])
  assert.deepEqual(answers, [])
  assert.equal(asked.at(-1), 2)
  // All of them, too.
  channel.sought(8)
  const before = asked.length
  bring(5, 7)
  assert.deepEqual([settled.at(-1), asked.length, asked.at(-1)], ['ack 5-7', before + 1, 2])
  bring(8, 10)
  assert.deepEqual(
    taken(answers[0]).map(([id]) => id),
    [4, 5, 9, 10],
  )
  assert.equal(asked.at(-1), 0)
})

test('does not say too early that there is nothing, however early a timer comes', () => {
  const { channel, clock } = channelOn()
  const answers: Fetched[] = []
  channel.fetch(1, 1_000, (fetched) => answers.push(fetched))
  assert.deepEqual(
    clock.timers.map(({ delayMs }) => delayMs),
    [1_000],
  )
  clock.nowMs = 999.5
  clock.timers[0]?.callback()
  assert.deepEqual(answers, [])
  assert.deepEqual(
    clock.timers.map(({ delayMs }) => delayMs),
    [1_000, 0.5],
  )
  clock.nowMs = 1_000
  clock.timers[1]?.callback()
  assert.deepEqual(answers, ['late'])
  assert.equal(clock.timers.length, 2)
  assert.equal(channel.waiting, 0)
})

test('counts no ack that its group does not count', async () => {
  const { channel, settled, group, bring } = channelOn()
  const answers: Fetched[] = []
  channel.fetch(6, 0, (fetched) => answers.push(fetched))
  bring(0, 6)
  const tickets = new Map(taken(answers[0]))
  const ticketsOf = (...ids: readonly number[]): number[] => ids.map((id) => tickets.get(id) ?? 0)
  group.stale = [{ from: toOffset(1), to: toOffset(3) }]
  assert.equal(await channel.ack(ticketsOf(1, 2, 3)), 1)
  assert.deepEqual(settled, ['ack 0-3'])
  group.stale = [{ from: toOffset(3), to: toOffset(4) }]
  assert.equal(await channel.ack(ticketsOf(6, 4)), 1)
  assert.deepEqual(settled.slice(1), ['ack 3-4', 'ack 5-6'])
  // A ticket is good for one ack, whatever became of it.
  assert.equal(await channel.ack(ticketsOf(1, 4, 6)), 0)
  group.stale = []
  assert.equal(await channel.ack(ticketsOf(5)), 1)
  assert.equal(settled.length, 4)
})

test('gives back what comes when nobody is in line any more', () => {
  const { channel, settled, bring } = channelOn()
  const waiter = channel.fetch(2, 1_000, () => assert.fail('it has gone'))
  waiter.cancel()
  bring(0, 2)
  assert.deepEqual(settled, ['release 0-2'])
  assert.equal(channel.inFlight, 0)
})
