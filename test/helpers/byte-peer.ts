/**
 * A peer that speaks by the byte, whatever the protocol: it can say what no client would, and sees every byte of the answers.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as dial, type Socket } from 'node:net'

/** A connection that goes on when the server has said its last. */
export async function dialed(port: number): Promise<Socket> {
  const socket = dial({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  await once(socket, 'connect')
  return socket
}

export class BytePeer {
  readonly socket: Socket
  #pending: Buffer = Buffer.alloc(0)
  #isOver = false
  #onChange: (() => void) | null = null

  protected constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => this.received(chunk))
    // A reset is one way to be refused: what matters is that it is over.
    socket.on('error', () => this.#end())
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
  }

  /** The server has ended the connection. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Bytes that arrived and were not taken. */
  get pendingBytes(): number {
    return this.#pending.length
  }

  /** Bytes as they are; text stands for latin-1. */
  write(bytes: Uint8Array | string): void {
    if (this.socket.destroyed) return
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** The next bytes are exactly these. */
  async expect(text: string | Uint8Array): Promise<void> {
    const expected = typeof text === 'string' ? Buffer.from(text, 'latin1') : Buffer.from(text)
    while (this.#pending.length < expected.length && !this.#isOver) await this.change()
    assert.equal(this.taken(expected.length).toString('latin1'), expected.toString('latin1'))
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  protected received(chunk: Buffer): void {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    this.#changed()
  }

  protected get pending(): Buffer {
    return this.#pending
  }

  /** So many of the pending bytes, or all there are. */
  protected taken(bytes: number): Buffer {
    const taken = this.#pending.subarray(0, bytes)
    this.#pending = this.#pending.subarray(bytes)
    return taken
  }

  /** Resolves when more has arrived, or the connection is over. */
  protected change(): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = resolve
    })
  }

  #end(): void {
    this.#isOver = true
    this.#changed()
  }

  #changed(): void {
    const onChange = this.#onChange
    this.#onChange = null
    onChange?.()
  }
}
