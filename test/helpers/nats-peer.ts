/**
 * A peer that speaks the NATS protocol by the byte: it can say what no client would, and sees every byte of the answers.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as dial, type Socket } from 'node:net'

/** Options of a connection that is spoken to as little as possible. */
export const QUIET = 'CONNECT {"verbose":false,"pedantic":false,"protocol":1}\r\n'
/** The same of one that knows headers and wants to be told that nobody is there. */
export const MODERN = 'CONNECT {"verbose":false,"pedantic":false,"protocol":1,"headers":true,"no_responders":true}\r\n'

export class NatsPeer {
  readonly socket: Socket
  /** What the server said first. */
  info = ''
  #pending: Buffer = Buffer.alloc(0)
  #isOver = false
  #onChange: (() => void) | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
      this.#changed()
    })
    // A reset is one way to be refused: what matters is that it is over.
    socket.on('error', () => this.#end())
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
  }

  /** With INFO read, and `hello` written. */
  static async connect(port: number, hello = ''): Promise<NatsPeer> {
    const socket = dial({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    await once(socket, 'connect')
    const peer = new NatsPeer(socket)
    peer.info = await peer.line()
    if (hello !== '') peer.write(hello)
    return peer
  }

  get isOver(): boolean {
    return this.#isOver
  }

  get pendingBytes(): number {
    return this.#pending.length
  }

  /** Bytes as they are; text stands for latin-1. */
  write(bytes: Uint8Array | string): void {
    if (this.socket.destroyed) return
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** The next line with its end; what there is when the server ends the connection. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.#pending.indexOf('\n')
      if (end >= 0) return this.#take(end + 1).toString('latin1')
      if (this.#isOver) return this.#take(this.#pending.length).toString('latin1')
      await this.#change()
    }
  }

  /** The next bytes are exactly these. */
  async expect(text: string | Uint8Array): Promise<void> {
    const expected = typeof text === 'string' ? Buffer.from(text, 'latin1') : Buffer.from(text)
    while (this.#pending.length < expected.length && !this.#isOver) await this.#change()
    assert.equal(this.#take(expected.length).toString('latin1'), expected.toString('latin1'))
  }

  /** Write, and these bytes and no others are the answer. */
  async ask(bytes: Uint8Array | string, answer: string): Promise<void> {
    this.write(bytes)
    this.write('PING\r\n')
    await this.expect(`${answer}PONG\r\n`)
  }

  /** Everything up to the next PONG of a PING that is asked now; to the end if the server hangs up. */
  async untilPong(): Promise<string> {
    this.write('PING\r\n')
    for (;;) {
      const end = this.#pending.indexOf('PONG\r\n')
      if (end >= 0) {
        const text = this.#take(end).toString('latin1')
        this.#take('PONG\r\n'.length)
        return text
      }
      if (this.#isOver) return `${this.#take(this.#pending.length).toString('latin1')}<end>`
      await this.#change()
    }
  }

  /** All until the server ends the connection. */
  async rest(): Promise<string> {
    while (!this.#isOver) await this.#change()
    return this.#take(this.#pending.length).toString('latin1')
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #take(bytes: number): Buffer {
    const taken = this.#pending.subarray(0, bytes)
    this.#pending = this.#pending.subarray(bytes)
    return taken
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

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#onChange = resolve
    })
  }
}
