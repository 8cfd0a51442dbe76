/**
 * A peer that owns its bytes: a bare socket, the stock protobuf library, and no code of the client. It can say what no
 * client would, stop reading, and tell how the server took leave of it.
 */
import assert from 'node:assert/strict'
import { BytePeer, dialed } from './byte-peer.js'
import { loadStock, type StockMessage } from './stock-protobuf.js'

const stock = loadStock()
const clientFrames = stock.type('ClientFrame')
const serverFrames = stock.type('ServerFrame')

/** A frame with its length, as a client library sends it. */
export function framedMessage(message: StockMessage): Buffer {
  return clientFrames.encodeDelimited(message)
}

export class RawPeer extends BytePeer {
  /** Bytes that have arrived. */
  receivedBytes = 0
  readonly #frames: StockMessage[] = []
  #nextId = 1

  static async connect(port: number): Promise<RawPeer> {
    return new RawPeer(await dialed(port))
  }

  send(message: StockMessage): void {
    this.write(framedMessage(message))
  }

  /** The next frame of the server, or null when it has ended the connection. */
  async next(): Promise<StockMessage | null> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame !== undefined) return frame
      if (this.isOver) return null
      await this.change()
    }
  }

  /** Every frame until the server ends the connection. */
  async rest(): Promise<StockMessage[]> {
    const frames: StockMessage[] = []
    for (;;) {
      const frame = await this.next()
      if (frame === null) return frames
      frames.push(frame)
    }
  }

  /** Ask, and wait for the answer with the same id; what else arrives meanwhile is thrown away. */
  async request(body: StockMessage): Promise<StockMessage> {
    const id = 1_000_000 + this.#nextId++
    this.send({ id, ...body })
    for (;;) {
      const frame = await this.next()
      assert.ok(frame !== null, 'the server ended the connection instead of answering')
      if (frame.id === id) return frame
    }
  }

  async ping(): Promise<void> {
    assert.ok('pong' in (await this.request({ ping: {} })))
  }

  destroy(): void {
    this.socket.destroy()
  }

  protected override received(chunk: Buffer): void {
    this.receivedBytes += chunk.length
    super.received(chunk)
    let at = 0
    for (;;) {
      const frame = frameAt(this.pending, at)
      if (frame === null) break
      this.#frames.push(serverFrames.decode(this.pending.subarray(frame.start, frame.end)))
      at = frame.end
    }
    this.taken(at)
  }
}

/** Where the frame at `at` stands, or null while it is not whole. */
function frameAt(bytes: Buffer, at: number): { start: number; end: number } | null {
  let length = 0
  for (let index = 0; index < 4 && at + index < bytes.length; index++) {
    const byte = bytes[at + index] ?? 0
    length += (byte & 0x7f) * 128 ** index
    if (byte >= 0x80) continue
    const start = at + index + 1
    return start + length <= bytes.length ? { start, end: start + length } : null
  }
  return null
}
