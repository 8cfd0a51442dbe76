/**
 * A server whose answers a test writes itself: it splits, decodes and encodes frames on a real socket, greets, answers
 * pings, and describes what it is told to. For what a real server does only when it is broken, slow or gone.
 */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Header, NewRecord } from '../../src/model/record.js'
import { ClientFrameDecoder } from '../../src/protocol/decode-client.js'
import { encodeServerFrame } from '../../src/protocol/encode-server.js'
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import type {
  ClientFrame,
  DeliveryFrame,
  DescribeFrame,
  PublishedFrame,
  PublishFrame,
  ServerFrame,
  TopicDescription,
} from '../../src/protocol/frames.js'
import { decodeRun, encodeRun } from '../../src/protocol/records.js'

const MAX_FRAME_BYTES = 8 * 1024 * 1024

/** One connection of a client, as the server sees it. */
export class FakePeer {
  readonly socket: Socket
  readonly frames: ClientFrame[] = []

  constructor(socket: Socket) {
    this.socket = socket
  }

  send(...frames: ServerFrame[]): void {
    this.socket.write(Buffer.concat(frames.map((frame) => encodeServerFrame(frame))))
  }

  cut(): void {
    this.socket.destroy()
  }
}

export type Script = (frame: ClientFrame, peer: FakePeer) => void

export class FakeServer {
  readonly peers: FakePeer[] = []
  readonly #server: Server
  readonly #script: Script
  #greets = true
  /** What it answers to Describe; null is "not found". */
  topic: TopicDescription | null = null
  /** Answers Describe instead of `topic`. */
  describing: ((frame: DescribeFrame) => ServerFrame) | null = null
  #waiting: { isDone: () => boolean; resolve: () => void }[] = []

  constructor(script: Script) {
    this.#script = script
    this.#server = createServer((socket) => this.#accept(socket))
  }

  static async start(script: Script = () => {}): Promise<FakeServer> {
    const fake = new FakeServer(script)
    fake.#server.listen(0, '127.0.0.1')
    await once(fake.#server, 'listening')
    return fake
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** The connection that was accepted last. */
  get peer(): FakePeer {
    const peer = this.peers[this.peers.length - 1]
    if (peer === undefined) throw new Error('no client has connected')
    return peer
  }

  /** With false it accepts connections and says nothing. */
  set greets(value: boolean) {
    this.#greets = value
  }

  /** Every frame of a kind, of all connections, in order of arrival on each. */
  all<K extends ClientFrame['kind']>(kind: K): Extract<ClientFrame, { kind: K }>[] {
    const isOfKind = (frame: ClientFrame): frame is Extract<ClientFrame, { kind: K }> => frame.kind === kind
    return this.peers.flatMap(({ frames }) => frames.filter(isOfKind))
  }

  /** Resolves when it holds, looked at after each frame and each connection. */
  until(isDone: () => boolean): Promise<void> {
    if (isDone()) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ isDone, resolve }))
  }

  async stop(): Promise<void> {
    for (const { socket } of this.peers) socket.destroy()
    const closed = once(this.#server, 'close')
    this.#server.close()
    await closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #accept(socket: Socket): void {
    const peer = new FakePeer(socket)
    const splitter = new FrameSplitter(MAX_FRAME_BYTES)
    const decoder = new ClientFrameDecoder()
    this.peers.push(peer)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      splitter.push(Buffer.from(chunk))
      while (splitter.next()) {
        const frame = kept(decoder.decode(splitter.buffer, splitter.start, splitter.end))
        peer.frames.push(frame)
        if (frame.kind === 'hello' && this.#greets) peer.send(welcome(frame.id))
        else if (frame.kind === 'close') socket.end()
        else if (frame.kind === 'ping' && this.#greets) peer.send({ kind: 'pong', id: frame.id })
        else if (frame.kind === 'commit' && frame.outcome === 'release') peer.send(done(frame.id))
        else if (frame.kind === 'describe') peer.send(this.#describe(frame))
        else this.#script(frame, peer)
      }
      this.#look()
    })
    this.#look()
  }

  #describe(frame: DescribeFrame): ServerFrame {
    if (this.describing !== null) return this.describing(frame)
    const { id } = frame
    if (this.topic === null) return failure(id, 'LVT_TOPIC_NOT_FOUND')
    return { kind: 'description', id, topics: [this.topic], groups: [], more: false }
  }

  #look(): void {
    const done = this.#waiting.filter(({ isDone }) => isDone())
    this.#waiting = this.#waiting.filter((waiting) => !done.includes(waiting))
    for (const { resolve } of done) resolve()
  }
}

/** A frame that outlives the next one: the decoder uses its objects and bytes again. */
function kept(frame: ClientFrame): ClientFrame {
  if (frame.kind !== 'publish') return { ...frame }
  const { buffer, start, end, count } = frame.run
  const bytes = Buffer.from(buffer.subarray(start, end))
  return { ...frame, run: { buffer: bytes, start: 0, end: bytes.length, count } }
}

export function welcome(id: number): ServerFrame {
  return { kind: 'welcome', id, version: 1, server: 'fake', nodeId: 'n', maxFrameBytes: MAX_FRAME_BYTES, features: [] }
}

export function done(id: number): ServerFrame {
  return { kind: 'done', id }
}

export function failure(id: number, code: string, retryable = false): ServerFrame {
  return { kind: 'failure', id, code, message: `says ${code}`, retryable, topic: '', offsets: [] }
}

export function published(frame: PublishFrame, baseOffset: number, more: Partial<PublishedFrame> = {}): ServerFrame {
  const { id, topic, run } = frame
  const empty = { duplicates: [], keptOffsets: [], parts: [] }
  const whole = {
    kind: 'published',
    id,
    topic,
    partition: 0,
    baseOffset,
    count: run.count,
    durability: 'disk',
  } as const
  return { ...whole, ...empty, ...more }
}

export function payloads(frame: PublishFrame): string[] {
  const { buffer, start, end } = frame.run
  return Array.from(decodeRun(Buffer.from(buffer.subarray(start, end))), ({ payload }) =>
    Buffer.from(payload).toString(),
  )
}

export function delivery(
  subscription: number,
  baseOffset: number,
  values: readonly string[],
  more: Partial<DeliveryFrame> = {},
): ServerFrame {
  const headers: Header[] = []
  const records = values.map((value): NewRecord => ({ key: null, payload: Buffer.from(value), headers }))
  const buffer = encodeRun(records)
  const run = { buffer, start: 0, end: buffer.length, count: records.length }
  const plain = { partition: 0, baseOffset, timestampMs: 1_000, deliveryCount: 0 }
  return { kind: 'delivery', id: 0, subscription, ...plain, run, ...more }
}
