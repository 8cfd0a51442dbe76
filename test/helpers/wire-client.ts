/**
 * A peer that says frames one by one and sees every answer: the project's codec on a bare socket, without the
 * client's batching, windows and reconnects. For the promises of the server, which a client would smooth over.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { NewRecord } from '../../src/model/record.js'
import {
  DEFAULT_TOPIC_SETTINGS,
  EARLIEST,
  KEEP_FOREVER,
  type Start,
  type TopicSettings,
} from '../../src/model/topic.js'
import { ServerFrameDecoder } from '../../src/protocol/decode-server.js'
import { encodeClientFrame } from '../../src/protocol/encode-client.js'
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import type {
  ClientFrame,
  CommitFrame,
  DeliveryFrame,
  PublishFrame,
  ServerFrame,
  SubscribeFrame,
} from '../../src/protocol/frames.js'
import { decodeRun, encodeRun } from '../../src/protocol/records.js'
import { putVarint, varintBytes } from '../../src/protocol/wire.js'

const MAX_FRAME_BYTES = 64 * 1024 * 1024

/** A topic that keeps everything. */
export const KEPT: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }
/** A topic that keeps nothing. */
export const FLEETING: TopicSettings = DEFAULT_TOPIC_SETTINGS

export type Kind = ServerFrame['kind']
export type FrameOf<K extends Kind> = Extract<ServerFrame, { kind: K }>

export function recordsOf(payloads: readonly string[], key: string | null = null): NewRecord[] {
  return payloads.map((payload) => ({
    key: key === null ? null : Buffer.from(key),
    payload: Buffer.from(payload),
    headers: [],
  }))
}

/** A Publish of these records, unkeyed unless they say otherwise. */
export function publishFrame(
  topic: string,
  records: readonly string[] | readonly NewRecord[],
  more: Partial<PublishFrame> = {},
): PublishFrame {
  const list = records.map((one) => (typeof one === 'string' ? (recordsOf([one])[0] as NewRecord) : one))
  const buffer = encodeRun(list)
  const run = { buffer, start: 0, end: buffer.length, count: list.length }
  const plain = { partition: null, durability: null, expectedOffset: null, producer: '', sequence: null }
  return { kind: 'publish', id: 0, topic, ...plain, run, ...more }
}

export function subscribeFrame(topic: string, more: Partial<SubscribeFrame> = {}): SubscribeFrame {
  const plain = { start: EARLIEST, untilOffset: null, mode: 'cursor', group: '', ackWaitMs: null } as const
  const place = { member: '', takeOver: false, backoffMs: [] }
  return { kind: 'subscribe', id: 0, subscription: 1, topic, window: 1, ...plain, ...place, ...more }
}

export function commitFrame(more: Partial<CommitFrame> = {}): CommitFrame {
  const plain = {
    partition: 0,
    offset: null,
    offsets: [],
    outcome: 'ack',
    delayMs: 0,
    generation: 0,
    reason: '',
  } as const
  return { kind: 'commit', id: 0, subscription: 1, ...plain, ...more }
}

export function startAt(offset: number): Start {
  return { kind: 'offset', offset }
}

/** Client frames as the bytes of one stream. */
export function framed(...frames: readonly ClientFrame[]): Buffer {
  const pieces = frames.flatMap((frame) => {
    const body = encodeClientFrame(frame)
    const length = Buffer.alloc(varintBytes(body.length))
    putVarint(length, 0, body.length)
    return [length, body]
  })
  return Buffer.concat(pieces)
}

export function recordsIn(frame: DeliveryFrame): NewRecord[] {
  return [...decodeRun(frame.run.buffer.subarray(frame.run.start, frame.run.end))]
}

export function payloadsIn(frame: DeliveryFrame): string[] {
  return recordsIn(frame).map(({ payload }) => Buffer.from(payload).toString())
}

export class WireClient {
  readonly socket: Socket
  /** Every frame that has arrived and was not taken, in order. */
  readonly frames: ServerFrame[] = []
  /** The server has sent FIN, or the socket is gone. */
  isOver = false
  readonly #splitter = new FrameSplitter(MAX_FRAME_BYTES)
  readonly #decoder = new ServerFrameDecoder()
  #nextId = 1_000_000
  readonly #waiting: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.#received(chunk))
    socket.on('error', () => this.#over())
    socket.on('end', () => this.#over())
    socket.on('close', () => this.#over())
  }

  static async connect({ port }: { readonly port: number }): Promise<WireClient> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    return new WireClient(socket)
  }

  /** Send frames in one write. */
  send(...frames: readonly ClientFrame[]): void {
    this.socket.write(framed(...frames))
  }

  /** The next frame of any kind; throws when the server ends the connection instead. */
  async next(): Promise<ServerFrame> {
    await this.until(() => this.frames.length > 0 || this.isOver)
    const frame = this.frames.shift()
    assert.ok(frame !== undefined, 'the server ended the connection')
    return frame
  }

  /** The next frame, which is of this kind. */
  async expect<K extends Kind>(kind: K): Promise<FrameOf<K>> {
    const frame = await this.next()
    assert.equal(frame.kind, kind, `unexpected ${JSON.stringify(frame, visible)}`)
    return frame as FrameOf<K>
  }

  /** Ask, and take the answer with the same id out of what arrives; the rest stays in order. */
  async ask(frame: ClientFrame): Promise<ServerFrame> {
    const id = frame.id === 0 ? this.#nextId++ : frame.id
    this.send({ ...frame, id })
    return await this.answer(id)
  }

  async answer(id: number): Promise<ServerFrame> {
    const find = () => this.frames.findIndex((one) => one.id === id)
    await this.until(() => find() >= 0 || this.isOver)
    const [found] = this.frames.splice(find(), 1)
    assert.ok(found !== undefined && found.id === id, 'the server ended the connection instead of answering')
    return found
  }

  /** As `ask`, for an answer of this kind. */
  async askFor<K extends Kind>(kind: K, frame: ClientFrame): Promise<FrameOf<K>> {
    const found = await this.ask(frame)
    assert.equal(found.kind, kind, `unexpected ${JSON.stringify(found, visible)}`)
    return found as FrameOf<K>
  }

  async fails(frame: ClientFrame): Promise<string> {
    return (await this.askFor('failure', frame)).code
  }

  async create(topic: string, settings: TopicSettings = KEPT): Promise<void> {
    await this.askFor('done', { kind: 'create-topic', id: 0, topic, settings })
  }

  publish(topic: string, records: readonly string[] | readonly NewRecord[], more: Partial<PublishFrame> = {}) {
    return this.askFor('published', publishFrame(topic, records, more))
  }

  async subscribe(topic: string, more: Partial<SubscribeFrame> = {}): Promise<void> {
    await this.askFor('done', subscribeFrame(topic, more))
  }

  async commit(more: Partial<CommitFrame> = {}): Promise<void> {
    await this.askFor('done', commitFrame(more))
  }

  /** A round trip: whatever the server had to say before it has arrived. */
  async ping(): Promise<void> {
    await this.askFor('pong', { kind: 'ping', id: 0 })
  }

  /** Resolves when it holds; looked at after each chunk and at the end. */
  async until(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      assert.ok(!this.isOver, 'the connection is over')
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Every frame up to the end of the connection. */
  async rest(): Promise<ServerFrame[]> {
    await this.until(() => this.isOver)
    return this.frames.splice(0)
  }

  destroy(): void {
    this.socket.destroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.socket.destroyed) return
    this.socket.destroy()
    await once(this.socket, 'close')
  }

  #received(chunk: Buffer): void {
    this.#splitter.push(chunk)
    while (this.#splitter.next()) {
      const { buffer, start, end } = this.#splitter
      this.frames.push(this.#decoder.decode(buffer, start, end))
    }
    this.#look()
  }

  #over(): void {
    this.isOver = true
    this.#look()
  }

  #look(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** For messages: buffers are not worth reading. */
function visible(key: string, value: unknown): unknown {
  return key === 'buffer' ? '...' : value
}
