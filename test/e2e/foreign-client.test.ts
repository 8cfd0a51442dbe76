/**
 * A client that is none of ours: a stock protobuf library that has read proto/leveret.proto, and a socket. It publishes
 * and subscribes with the library's own delimited reader and writer.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import protobuf from 'protobufjs'
import { type Server, startServer } from '../helpers/leveret-process.js'

const root = protobuf.loadSync('proto/leveret.proto')
const ClientFrame = root.lookupType('leveret.v1.ClientFrame')
const ServerFrame = root.lookupType('leveret.v1.ServerFrame')

let server: Server

before(async () => {
  server = await startServer()
})

after(async () => {
  await server.stop()
})

/** A frame as protobufjs shows it. */
interface Frame {
  readonly id?: number
  readonly published?: {
    readonly topic: string
    readonly baseOffset: number
    readonly count: number
    readonly durability: string
  }
  readonly delivery?: {
    readonly subscription: number
    readonly baseOffset?: number
    readonly timestampMs: number
    readonly records: readonly { readonly key?: Buffer; readonly payload?: Buffer; readonly headers?: unknown }[]
  }
  readonly [kind: string]: unknown
}

async function open(): Promise<Socket> {
  const socket = connect(server.port, '127.0.0.1')
  await once(socket, 'connect')
  return socket
}

function write(socket: Socket, frame: object): void {
  socket.write(ClientFrame.encodeDelimited(ClientFrame.fromObject(frame)).finish())
}

/** The library reads "delimited" messages from a buffer; a RangeError is its way to say that more has to come. */
async function* read(socket: Socket): AsyncGenerator<Frame, void> {
  let bytes = Buffer.alloc(0)
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    bytes = Buffer.concat([bytes, chunk])
    for (;;) {
      const reader = protobuf.Reader.create(bytes)
      let message: protobuf.Message
      try {
        message = ServerFrame.decodeDelimited(reader)
      } catch (error) {
        if (error instanceof RangeError) break
        throw error
      }
      bytes = bytes.subarray(reader.pos)
      yield ServerFrame.toObject(message, { longs: Number, enums: String }) as Frame
    }
  }
}

async function take(frames: AsyncGenerator<Frame, void>): Promise<Frame> {
  const { value } = await frames.next()
  assert.ok(value !== undefined, 'the server ended the connection')
  return value
}

test('a stock library alone says hello, creates, publishes, subscribes, commits and closes', {
  timeout: 30_000,
}, async () => {
  const socket = await open()
  const frames = read(socket)

  write(socket, { id: 1, hello: { version: 1, clientName: 'stock' } })
  const { welcome } = await take(frames)
  assert.equal((welcome as { version?: number }).version, 1)

  write(socket, { id: 2, createTopic: { topic: 'foreign', settings: { retainForever: true } } })
  assert.deepEqual(await take(frames), { id: 2, done: {} })

  const headers = [{ name: 'lang', value: Buffer.from('any') }]
  const records = [
    { key: Buffer.from('k'), payload: Buffer.from('one') },
    { payload: Buffer.from('two') },
    { key: Buffer.alloc(0), headers },
  ]
  write(socket, { id: 3, publish: { topic: 'foreign', records } })
  const { id, published } = await take(frames)
  assert.equal(id, 3)
  assert.equal(published?.topic, 'foreign')
  assert.equal(published?.count, 3)

  write(socket, {
    id: 4,
    subscribe: { subscription: 9, topic: 'foreign', start: { earliest: true }, window: 10, untilOffset: 3 },
  })
  assert.deepEqual(await take(frames), { id: 4, done: {} })
  const received: object[] = []
  let frame = await take(frames)
  for (; frame.delivery !== undefined; frame = await take(frames)) {
    assert.equal(frame.delivery.subscription, 9)
    assert.ok(frame.delivery.timestampMs > 0)
    received.push(...frame.delivery.records)
    write(socket, { commit: { subscription: 9, offset: received.length - 1 } })
  }
  assert.deepEqual(received, records)
  assert.equal((frame.ended as { subscription?: number }).subscription, 9)

  write(socket, { id: 5, ping: {} })
  assert.deepEqual(await take(frames), { id: 5, pong: {} })
  write(socket, { id: 6, close: {} })
  for await (const last of frames) assert.ok(last.id === 6 || last.closing !== undefined, JSON.stringify(last))
  socket.destroy()
})

test('one in flight until it is committed, and live records after retained ones, seen by a stock library', {
  timeout: 30_000,
}, async () => {
  const subscriber = await open()
  const publisher = await open()
  const deliveries = read(subscriber)
  const receipts = read(publisher)
  const publish = async (text: string): Promise<void> => {
    write(publisher, { id: 1, publish: { topic: 'live', records: [{ payload: Buffer.from(text) }] } })
    assert.ok((await take(receipts)).published !== undefined)
  }
  write(publisher, { id: 1, createTopic: { topic: 'live', settings: { retentionTtlMs: 3_600_000 } } })
  assert.deepEqual(await take(receipts), { id: 1, done: {} })
  await publish('kept 0')
  await publish('kept 1')

  write(subscriber, { id: 1, subscribe: { subscription: 1, topic: 'live' } })
  assert.deepEqual(await take(deliveries), { id: 1, done: {} })
  for (const [offset, text] of ['kept 0', 'kept 1', 'live 2', 'live 3'].entries()) {
    if (offset === 2) await publish('live 2')
    if (offset === 3) await publish('live 3')
    const { delivery } = await take(deliveries)
    assert.equal(delivery?.baseOffset ?? 0, offset)
    assert.deepEqual(delivery?.records, [{ payload: Buffer.from(text) }])
    // Nothing more comes before the commit: the answer to a ping is the next frame.
    write(subscriber, { id: 2, ping: {} })
    assert.deepEqual(await take(deliveries), { id: 2, pong: {} })
    write(subscriber, { id: 3, commit: { subscription: 1, offset } })
    assert.deepEqual(await take(deliveries), { id: 3, done: {} })
  }
  subscriber.destroy()
  publisher.destroy()
})

test('a failure reaches a stock library with its code', { timeout: 30_000 }, async () => {
  const socket = await open()
  const frames = read(socket)
  write(socket, { id: 1, ping: {} })
  await take(frames)
  write(socket, { id: 2, publish: { topic: 'bad\nname', records: [{ payload: Buffer.from('x') }] } })
  const { id, failure } = await take(frames)
  assert.equal(id, 2)
  assert.equal((failure as { code?: string }).code, 'LVT_INVALID_ARGUMENT')
  write(socket, { id: 3, subscribe: { subscription: 1, topic: 't', mode: 'MODE_SHARED', group: 'g' } })
  assert.equal(((await take(frames)).failure as { code?: string }).code, 'LVT_UNSUPPORTED')
  socket.destroy()
})
