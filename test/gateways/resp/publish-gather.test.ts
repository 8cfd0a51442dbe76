/** Requests that are published together: none is lost between two of them, and each has its own reply. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Topic } from '../../../src/broker/topic.js'
import { layMessage, messageBytes } from '../../../src/gateways/resp/floki/message-record.js'
import { eventBytes, layEvent, NameHeader, putEvent } from '../../../src/gateways/resp/meilies/event-record.js'
import {
  type Gatherer,
  PublishGather,
  RepeatedReply,
  requestsOfToken,
  ticketOfToken,
  tokenOf,
} from '../../../src/gateways/resp/publish-gather.js'
import { RequestParser } from '../../../src/gateways/resp/request-parser.js'
import type { RecordRun } from '../../../src/model/record.js'
import { countRecords } from '../../../src/model/run.js'
import { DEFAULT_TOPIC_SETTINGS } from '../../../src/model/topic.js'
import { fc } from '../../helpers/fast-check.js'
import { startFloki } from '../../helpers/floki-server.js'
import { requestOf } from '../../helpers/resp-values.js'

class Noting implements Gatherer {
  readonly published: string[] = []

  publishGathered(topic: Topic, { buffer, start, end, count }: RecordRun): void {
    assert.equal(countRecords(buffer.subarray(start, end)), count)
    // Without the heads of the records.
    const text = buffer.toString('latin1', start, end).replaceAll(/z[^a-z]{3}/g, '')
    this.published.push(`${topic.name} ${count} ${text}`)
  }
}

function parserOf(...requests: readonly (readonly string[])[]): RequestParser {
  const parser = new RequestParser({ elementsMax: 100, bulkBytesMax: 1e6, requestBytesMax: 1e6 })
  parser.push(Buffer.concat(requests.map((words) => requestOf(...words))))
  return parser
}

/** The next push of what has arrived; false when it has to be published alone. */
function lay(gather: PublishGather, owner: Gatherer, topic: Topic, parser: RequestParser): boolean {
  assert.ok(parser.next())
  const { request } = parser
  const place = gather.room(owner, topic, request, messageBytes(request.length(2)))
  if (place >= 0) layMessage(request, 2, place)
  return place >= 0
}

test('publishes what one connection says of one topic together, and before another has its turn', () => {
  const gather = new PublishGather()
  const [one, other] = [new Noting(), new Noting()]
  const a = new Topic('a', DEFAULT_TOPIC_SETTINGS, 0)
  const b = new Topic('b', DEFAULT_TOPIC_SETTINGS, 0)
  const first = parserOf(['RPUSH', 'a', 'x'], ['RPUSH', 'a', 'yy'], ['RPUSH', 'b', 'z'], ['PING'])
  assert.ok(lay(gather, one, a, first))
  assert.ok(lay(gather, one, a, first))
  gather.flush(other)
  assert.deepEqual(one.published, [], 'it is not the other one who flushes it')
  assert.ok(lay(gather, one, b, first))
  assert.deepEqual(one.published, ['a 2 xyy'])
  assert.ok(lay(gather, other, b, parserOf(['RPUSH', 'b', 'w'])))
  assert.deepEqual(one.published, ['a 2 xyy', 'b 1 z'])
  gather.flush(other)
  gather.flush(other)
  assert.deepEqual(other.published, ['b 1 w'])
  assert.ok(first.next())
  assert.equal(first.request.shown(0), 'PING', 'nothing is laid over what is still to be read')
})

test('leaves large records, and requests that are no arrays of strings, to be published alone', () => {
  const gather = new PublishGather()
  const one = new Noting()
  const a = new Topic('a', DEFAULT_TOPIC_SETTINGS, 0)
  assert.equal(lay(gather, one, a, parserOf(['RPUSH', 'a', 'x'.repeat(10_000)])), false)
  const line = parserOf()
  line.push(Buffer.from('RPUSH a x\r\n*3\r\n+RPUSH\r\n+a\r\n+x\r\n'))
  assert.equal(lay(gather, one, a, line), false)
  assert.equal(lay(gather, one, a, line), false)
  gather.flush(one)
  assert.deepEqual(one.published, [])
})

test('lays events where they arrived as they are written elsewhere, whatever their names and sizes', () => {
  const arbName = fc.oneof(fc.constantFrom('placed', 'paid'), fc.string({ minLength: 1, maxLength: 200 }))
  const arbData = fc
    .oneof(fc.nat(3), fc.nat(140), fc.constantFrom(126, 127, 128, 7_000))
    .map((bytes) => 'd'.repeat(bytes))
  fc.assert(
    fc.property(fc.array(fc.tuple(arbName, arbData), { minLength: 1, maxLength: 20 }), (events) => {
      const gather = new PublishGather()
      const names = new NameHeader()
      const topic = new Topic('s', DEFAULT_TOPIC_SETTINGS, 0)
      const parser = parserOf(...events.map(([name, data]) => ['publish', 's', name, data]), ['PING'])
      const runs: Buffer[] = []
      const owner: Gatherer = {
        publishGathered: (_topic, { buffer, start, end }) => runs.push(Buffer.from(buffer.subarray(start, end))),
      }
      const expected: Buffer[] = []
      for (const [name, data] of events) {
        assert.ok(parser.next())
        const { request } = parser
        const source = Buffer.from(name + data)
        const nameBytes = Buffer.byteLength(name)
        const record = Buffer.alloc(eventBytes(nameBytes, data.length))
        putEvent(record, 0, source, { start: 0, end: nameBytes }, { start: nameBytes, end: source.length })
        expected.push(record)
        const place = gather.room(owner, topic, request, record.length)
        assert.ok(place >= 0)
        const header = names.of(request.buffer, request.start(2), request.end(2))
        layEvent(request.buffer, place, header, request.start(3), request.end(3))
      }
      gather.flush(owner)
      assert.ok(Buffer.concat(runs).equals(Buffer.concat(expected)))
      assert.equal(runs.length, 1)
      assert.ok(parser.next())
      assert.equal(parser.request.shown(0), 'PING')
    }),
  )
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
