/**
 * The messages of NATS Streaming: sizes and bytes as they were seen on the wire, and a stock library on both sides.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Slab } from '../../../src/broker/slab.js'
import { systemRandom } from '../../../src/common/random.js'
import { Router, type Subscriber } from '../../../src/gateways/nats-streaming/core/router.js'
import { isChannelName } from '../../../src/gateways/nats-streaming/streaming/channel-names.js'
import { AnswerGatherer, refuse } from '../../../src/gateways/nats-streaming/streaming/due-answers.js'
import { MessageEncoder } from '../../../src/gateways/nats-streaming/streaming/message-encoder.js'
import { RunWriter } from '../../../src/gateways/nats-streaming/streaming/message-record.js'
import {
  Ack,
  decodeAckChannel,
  decodeCloseRequest,
  decodeConnectRequest,
  decodePing,
  decodeSubscriptionRequest,
  decodeUnsubscribeRequest,
  encodeConnectError,
  encodeConnectResponse,
  encodeError,
  encodeSubscriptionError,
  encodeSubscriptionResponse,
} from '../../../src/gateways/nats-streaming/streaming/messages.js'
import { PubMsg } from '../../../src/gateways/nats-streaming/streaming/pub-msg.js'
import { fc } from '../../helpers/fast-check.js'
import { stanFields as read, stanBytes as stock } from '../../helpers/stan-messages.js'

const GUID = 'G'.repeat(22)
const CONN_ID = Buffer.from('C'.repeat(22))
const INBOX = `_INBOX.${'A'.repeat(22)}`

/** All fields as text. */
function shown(message: PubMsg): Record<string, string> {
  const { buffer, clientId, channel, connId, guidStart, guidEnd, replyStart, replyEnd, dataStart, dataEnd } = message
  return {
    clientId,
    guid: buffer.toString('utf8', guidStart, guidEnd),
    channel,
    reply: buffer.toString('utf8', replyStart, replyEnd),
    data: buffer.toString('utf8', dataStart, dataEnd),
    connId,
  }
}

test('requests have the sizes that were seen on the wire, and are decoded', () => {
  const connect = stock('ConnectRequest', {
    clientID: 'c1',
    heartbeatInbox: INBOX,
    protocol: 1,
    connID: CONN_ID,
    pingInterval: 5,
    pingMaxOut: 3,
  })
  assert.equal(connect.length, 65)
  assert.deepEqual(decodeConnectRequest(connect), {
    clientId: 'c1',
    heartbeatInbox: INBOX,
    protocol: 1,
    connId: 'C'.repeat(22),
    pingInterval: 5,
    pingMaxOut: 3,
  })
  const subscribe = stock('SubscriptionRequest', {
    clientID: 'c1',
    subject: 'foo',
    inbox: INBOX,
    maxInFlight: 2,
    ackWaitInSecs: 1,
    durableName: 'dur',
    startPosition: 4,
  })
  assert.equal(subscribe.length, 51)
  assert.deepEqual(decodeSubscriptionRequest(subscribe), {
    clientId: 'c1',
    channel: 'foo',
    queue: '',
    inbox: INBOX,
    maxInFlight: 2,
    ackWaitSeconds: 1,
    durableName: 'dur',
    startPosition: 4,
    startSequence: 0,
    startTimeDeltaNs: 0,
  })
  const unsubscribe = stock('UnsubscribeRequest', { clientID: 'c1', subject: 'foo', inbox: INBOX })
  assert.equal(unsubscribe.length, 40)
  assert.deepEqual(decodeUnsubscribeRequest(unsubscribe), { clientId: 'c1', channel: 'foo', inbox: INBOX })
  assert.equal(decodeCloseRequest(Buffer.from([0x0a, 2, 0x63, 0x31])), 'c1')
  assert.equal(decodePing(Buffer.concat([Buffer.from([0x0a, 22]), CONN_ID])), CONN_ID.toString())
})

test('a published message has the size that was seen on the wire, and is decoded in place', () => {
  const bytes = stock('PubMsg', {
    clientID: 'c1',
    guid: GUID,
    subject: 'foo',
    data: Buffer.from('hello'),
    connID: CONN_ID,
  })
  assert.equal(bytes.length, 64)
  const message = new PubMsg()
  const between = Buffer.concat([Buffer.from('PUB '), bytes, Buffer.from('\r\n')])
  assert.equal(message.read(between, 4, 4 + bytes.length), true)
  assert.deepEqual(shown(message), {
    clientId: 'c1',
    guid: GUID,
    channel: 'foo',
    reply: '',
    data: 'hello',
    connId: CONN_ID.toString(),
  })
  assert.equal(message.buffer, between)
  assert.equal(message.read(bytes, 0, 39), false, 'cut off')
  assert.equal(shown(message).guid, GUID, 'what came before the cut is there')
  assert.equal(message.read(bytes, 0, 0), true)
  const nothing = { clientId: '', guid: '', channel: '', reply: '', data: '', connId: '' }
  assert.deepEqual(shown(message), nothing, 'nothing is left of the one before')
})

test('published messages are read as a stock library lays them out, however they are laid out', () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 })
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
  // Unknown fields, which the fields that are known may stand between.
  const unknown = fc.constantFrom('', '5803', 'a2060107', '7a0161').map((hex) => Buffer.from(hex, 'hex'))
  const arbitrary = fc.record({
    clientID: text,
    guid: text,
    subject: text,
    reply: fc.oneof(fc.constant(''), text),
    data: fc.oneof(bytes(10), bytes(300), bytes(40_000)),
    connID: bytes(30),
  })
  const message = new PubMsg()
  fc.assert(
    fc.property(arbitrary, unknown, unknown, (fields, before, after) => {
      const laid = Buffer.concat([before, stock('PubMsg', fields), after])
      assert.equal(message.read(Buffer.concat([Buffer.alloc(3), laid]), 3, 3 + laid.length), true)
      assert.deepEqual(shown(message), {
        clientId: fields.clientID,
        guid: fields.guid,
        channel: fields.subject,
        reply: fields.reply,
        data: Buffer.from(fields.data).toString(),
        connId: Buffer.from(fields.connID).toString('latin1'),
      })
    }),
  )
})

test('an ack has the size that was seen on the wire, and is decoded', () => {
  const ack = new Ack('foo')
  const bytes = stock('Ack', { subject: 'foo', sequence: 1 })
  assert.deepEqual([...bytes], [0x0a, 3, 0x66, 0x6f, 0x6f, 0x10, 1])
  assert.equal(ack.read(bytes), true)
  assert.equal(ack.sequence, 1)
  assert.equal(ack.read(stock('Ack', { subject: 'foo', sequence: '9007199254740991' })), true)
  assert.equal(ack.sequence, Number.MAX_SAFE_INTEGER)
  assert.equal(ack.read(stock('Ack', { subject: 'foo', sequence: '18446744073709551615' })), true)
  assert.equal(ack.sequence, Number.MAX_SAFE_INTEGER, 'beyond what can be counted')
})

test('an ack tells whether it names the channel, byte for byte and whatever it says besides', () => {
  const names = ['foo', 'fooo', 'fo', 'fop', '', 'Foo', 'grün', 'gru\u0308n', 'x'.repeat(200)]
  for (const channel of names.filter((name) => name !== '')) {
    const ack = new Ack(channel)
    for (const named of names) {
      assert.equal(ack.read(stock('Ack', { subject: named, sequence: 7 })), true)
      assert.deepEqual([ack.isOfChannel, ack.sequence], [named === channel, 7], `${named} in ${channel}`)
      assert.equal(decodeAckChannel(stock('Ack', { subject: named, sequence: 7 })), named)
    }
    const both = (first: string, last: string) =>
      Buffer.concat([stock('Ack', { subject: first, sequence: 1 }), stock('Ack', { subject: last })])
    assert.deepEqual([ack.read(both('other', channel)), ack.isOfChannel], [true, true], 'the last one counts')
    assert.deepEqual([ack.read(both(channel, 'other')), ack.isOfChannel], [true, false])
    assert.deepEqual([ack.read(Buffer.alloc(0)), ack.isOfChannel], [true, false], 'nothing is kept of the last one')
    assert.equal(ack.read(Buffer.from([0x0a, 5, 0x66])), false)
  }
})

test('numbers may be negative or large', () => {
  const request = decodeSubscriptionRequest(
    stock('SubscriptionRequest', {
      maxInFlight: -1,
      ackWaitInSecs: -2,
      startPosition: 9,
      startSequence: '4294967297',
      startTimeDelta: '-30000000000',
    }),
  )
  assert.equal(request?.maxInFlight, -1)
  assert.equal(request?.ackWaitSeconds, -2)
  assert.equal(request?.startPosition, 9)
  assert.equal(request?.startSequence, 4_294_967_297)
  assert.equal(request?.startTimeDeltaNs, -30_000_000_000)
  assert.equal(decodeConnectRequest(stock('ConnectRequest', { pingInterval: -100 }))?.pingInterval, -100)
})

test('fields that nobody knows are passed over, and garbage is no message', () => {
  assert.equal(decodeCloseRequest(Buffer.from([0x0a, 2, 0x63, 0x31, 0xa2, 0x06, 1, 7, 0x58, 3])), 'c1')
  const ack = new Ack('foo')
  for (const garbage of [
    Buffer.from('garbage'),
    Buffer.from([0x0a]),
    Buffer.from([0x0a, 5, 1]),
    Buffer.from([0x08, 1]),
    Buffer.from([0x00, 1]),
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
  ]) {
    assert.equal(decodeConnectRequest(garbage), null, garbage.toString('hex'))
    assert.equal(decodeSubscriptionRequest(garbage), null)
    assert.equal(decodeUnsubscribeRequest(garbage), null)
    assert.equal(decodeCloseRequest(garbage), null)
    assert.equal(decodePing(garbage), null)
    assert.equal(new PubMsg().read(garbage, 0, garbage.length), false)
    assert.equal(ack.read(garbage), false)
  }
})

test('answers have the sizes that were seen on the wire, and a stock library reads them', () => {
  const response = encodeConnectResponse({
    pubPrefix: '_STAN.pub.test-cluster',
    subRequests: '_STAN.sub.test-cluster',
    unsubRequests: '_STAN.unsub.test-cluster',
    closeRequests: '_STAN.close.test-cluster',
    subCloseRequests: '_STAN.subclose.test-cluster',
    pings: { requests: '_STAN.discover.test-cluster.pings', interval: 5, maxOut: 3 },
  })
  assert.equal(response.length, 170)
  assert.deepEqual(read('ConnectResponse', response), {
    pubPrefix: '_STAN.pub.test-cluster',
    subRequests: '_STAN.sub.test-cluster',
    unsubRequests: '_STAN.unsub.test-cluster',
    closeRequests: '_STAN.close.test-cluster',
    subCloseRequests: '_STAN.subclose.test-cluster',
    pingRequests: '_STAN.discover.test-cluster.pings',
    pingInterval: 5,
    pingMaxOut: 3,
    protocol: 1,
  })
  assert.deepEqual(read('ConnectResponse', encodeConnectError('no')), { error: 'no' })
  assert.equal(encodeSubscriptionResponse(INBOX).length, 31)
  assert.deepEqual(read('SubscriptionResponse', encodeSubscriptionResponse(INBOX)), { ackInbox: INBOX })
  assert.deepEqual(read('SubscriptionResponse', encodeSubscriptionError('no')), { error: 'no' })
  assert.deepEqual([...encodeError('no')], [0x0a, 2, 0x6e, 0x6f])
})

test('answers to publishes carry guids of any length, to whoever published', () => {
  const router = new Router(systemRandom)
  const heard: [subject: string, payload: Buffer][] = []
  const owner: Subscriber = { deliver: (_, { subject, payload }) => heard.push([subject, Buffer.from(payload)]) }
  for (const subject of ['a', 'b']) router.add({ subject, queue: null, sid: '', owner })
  const client = { publishes: 0 }
  const lengths = [22, 1, 127, 128, 1_000, 20_000]
  const message = new PubMsg()
  const gatherer = new AnswerGatherer()
  for (const error of ['', 'no']) {
    for (const [index, length] of lengths.entries()) {
      const bytes = stock('PubMsg', { guid: 'g'.repeat(length) })
      message.read(bytes, 0, bytes.length)
      gatherer.add(client, index < 3 ? 'a' : 'b', message)
      gatherer.add(client, '', message)
    }
    const due = gatherer.take()
    assert.equal(due.count, 2 * lengths.length)
    assert.equal(client.publishes, 2 * lengths.length)
    due.send(router, error)
    assert.equal(client.publishes, 0)
    const expected = lengths.map((length) => ({ guid: 'g'.repeat(length), ...(error === '' ? {} : { error }) }))
    const answers = heard.splice(0)
    assert.deepEqual(
      answers.map(([, payload]) => read('PubAck', payload)),
      expected,
    )
    assert.equal(answers.map(([subject]) => subject).join(''), 'aaabbb')
    if (error === '') assert.equal(answers[0]?.[1].length, 24)
    refuse(router, 'a', message, 'no')
    assert.deepEqual(read('PubAck', heard.splice(0)[0]?.[1] ?? Buffer.alloc(0)), {
      guid: 'g'.repeat(20_000),
      error: 'no',
    })
  }
})

/** One message as it is delivered, out of the record that is made of it; what follows it is looked at, too. */
function delivered(
  encoder: MessageEncoder,
  {
    data,
    reply = '',
    sequence = 1,
    timeMs = 1_700_000_000_123,
    count = 0,
  }: Partial<DeliveredFields> & { data: Buffer },
): Buffer {
  const writer = new RunWriter()
  const replyBytes = Buffer.from(reply)
  const source = Buffer.concat([data, replyBytes])
  writer.add(source, 0, data.length, data.length, source.length)
  const { buffer, start, end } = writer.take()
  assert.equal(encoder.encode(buffer, start, sequence, timeMs, count), end)
  assert.equal(encoder.buffer.toString('latin1', encoder.end, encoder.end + 2), '\r\n')
  return encoder.buffer.subarray(encoder.start, encoder.end)
}

interface DeliveredFields {
  readonly reply: string
  readonly sequence: number
  readonly timeMs: number
  readonly count: number
}

test('messages have the sizes that were seen on the wire, and their time is exact', () => {
  const encoder = new MessageEncoder('foo', new Slab())
  const data = Buffer.from('hello')
  const first = delivered(encoder, { data })
  const again = delivered(encoder, { data, reply: 'r', sequence: 2 ** 40, count: 1 })
  assert.equal(first.length, 24)
  assert.deepEqual(read('MsgProto', first), {
    sequence: '1',
    subject: 'foo',
    data: Buffer.from('hello'),
    timestamp: '1700000000123000000',
  })
  assert.deepEqual(read('MsgProto', again), {
    sequence: String(2 ** 40),
    subject: 'foo',
    reply: 'r',
    data: Buffer.from('hello'),
    timestamp: '1700000000123000000',
    redelivered: true,
    redeliveryCount: 1,
  })
  assert.equal(delivered(encoder, { data, count: 1 }).length, 28)
})

test('a stock library lays messages out as they are delivered', () => {
  const slab = new Slab()
  const arbitrary = fc.record({
    channel: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }),
    sequence: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    reply: fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme', maxLength: 200 })),
    data: fc.oneof(
      fc.uint8Array({ maxLength: 10 }),
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 40_000 }),
    ),
    // Clocks may be anywhere.
    timeMs: fc.oneof(fc.integer({ min: 1, max: 2 ** 42 }), fc.constantFrom(-1, -1_000)),
    count: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 0xffff_ffff })),
  })
  fc.assert(
    fc.property(arbitrary, ({ channel, data, ...message }) => {
      const laid = delivered(new MessageEncoder(channel, slab), { ...message, data: Buffer.from(data) })
      const { sequence, reply, timeMs, count } = message
      const fields = {
        sequence: String(sequence),
        subject: channel,
        ...(reply === '' ? {} : { reply }),
        ...(data.length === 0 ? {} : { data: Buffer.from(data) }),
        timestamp: String(BigInt(timeMs) * 1_000_000n),
        ...(count === 0 ? {} : { redelivered: true, redeliveryCount: count }),
      }
      assert.deepEqual(laid, stock('MsgProto', fields))
    }),
  )
})

test('channels have names as the original takes them', () => {
  for (const name of ['foo', 'foo.bar', 'foo bar', 'foo:bar-baz_1', 'Ünï', 'a']) {
    assert.equal(isChannelName(name), true, name)
  }
  for (const name of ['', '.foo', 'foo.', 'foo..bar', 'foo/bar', 'foo.*', 'foo*', '*', '>', 'foo.>', 'foo>bar', '.']) {
    assert.equal(isChannelName(name), false, name)
  }
})
