/** Requests that are published together: none is lost between two of them, and each has its own reply. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Topic } from '../../../src/broker/topic.js'
import {
  type Gatherer,
  PublishGather,
  RepeatedReply,
  requestsOfToken,
  ticketOfToken,
  tokenOf,
} from '../../../src/gateways/resp/publish-gather.js'
import type { RecordRun } from '../../../src/model/record.js'
import { DEFAULT_TOPIC_SETTINGS } from '../../../src/model/topic.js'
import { startFloki } from '../../helpers/floki-server.js'

class Noting implements Gatherer {
  readonly published: string[] = []

  publishGathered(topic: Topic, { buffer, start, end, count }: RecordRun): void {
    const text = buffer.toString('latin1', start, end)
    this.published.push(`${topic.name} ${count} ${text.length > 8 ? `${text.length} bytes` : text}`)
  }
}

function lay(gather: PublishGather, owner: Gatherer, topic: Topic, text: string): void {
  gather.buffer.write(text, gather.room(owner, topic, text.length), 'latin1')
}

test('publishes what one connection says of one topic together, and before another has its turn', () => {
  const gather = new PublishGather()
  const [one, other] = [new Noting(), new Noting()]
  const a = new Topic('a', DEFAULT_TOPIC_SETTINGS, 0)
  const b = new Topic('b', DEFAULT_TOPIC_SETTINGS, 0)
  lay(gather, one, a, 'x')
  lay(gather, one, a, 'y')
  gather.flush(other)
  assert.deepEqual(one.published, [], 'it is not the other one who flushes it')
  lay(gather, one, b, 'z')
  assert.deepEqual(one.published, ['a 2 xy'])
  lay(gather, other, b, 'w')
  assert.deepEqual(one.published, ['a 2 xy', 'b 1 z'])
  gather.flush(other)
  gather.flush(other)
  assert.deepEqual(other.published, ['b 1 w'])
  for (let count = 0; count < 17; count++) lay(gather, one, a, 'r'.repeat(4_000))
  gather.flush(one)
  assert.deepEqual(one.published.slice(2), ['a 16 64000 bytes', 'a 1 4000 bytes'])
})

test('a token says whose reply it is and how many requests share it, and a reply is repeated as often', () => {
  for (const [ticket, requests] of [
    [1, 0],
    [1, 1],
    [70_000, 65_535],
    [2 ** 36, 12],
  ] as const) {
    const token = tokenOf(ticket, requests)
    assert.deepEqual([ticketOfToken(token), requestsOfToken(token)], [ticket, requests])
  }
  const reply = new RepeatedReply(Buffer.from('+OK\r\n'))
  for (const times of [1, 3, 2, 100, 7]) assert.equal(reply.times(times).toString(), '+OK\r\n'.repeat(times))
})

test('answers pushes, refusals and other requests of one write in their order, and brings them in it', async (t) => {
  const { raw } = await (await startFloki(t)).connect()
  for (const queue of ['q', 'p']) raw.send('SET', queue, 'c')
  assert.deepEqual(await raw.take(2), [
    ['+', 'OK'],
    ['+', 'OK'],
  ])
  const requests = [
    ['RPUSH', 'q', 'a'],
    ['RPUSH', 'q', 'b'],
    ['RPUSH', 'none', 'x'],
    ['RPUSH', 'q', 'c', 'd'],
    ['PING'],
    ['RPUSH', 'p', 'other'],
    ['RPUSH', 'q', ''],
    ['HDEL', 'q', 'c', '7'],
    ['RPUSH', 'q', 'e'],
    ['HMGET', 'q', 'c', '10'],
    ['RPUSH', 'q', 'f'],
    ['QUIT'],
  ]
  raw.socket.cork()
  for (const words of requests) raw.send(...words)
  raw.socket.uncork()
  const replies = (await raw.take(requests.length)).map((value) => JSON.stringify(value?.[1]))
  const messages = replies.splice(9, 1)[0] ?? ''
  assert.deepEqual(replies, ['1', '1', '"QNF Queue Not Found"', '2', '"PONG"', '1', '1', '0', '1', '1', '"OK"'])
  const bodies = [...messages.matchAll(/"\$","([a-z]*)"/g)].map(([, body]) => body)
  assert.deepEqual(bodies, ['a', 'b', 'c', 'd', '', 'e'])
})
