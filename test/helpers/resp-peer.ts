/**
 * A peer that speaks RESP by the byte: it can say what no client would, and sees every reply with its types.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as dial, type Socket } from 'node:net'
import { type RespValue, requestOf, valueAt } from './resp-values.js'

export class RespPeer {
  readonly socket: Socket
  #pending: Buffer = Buffer.alloc(0)
  #isOver = false
  #onChange: (() => void) | null = null

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
      this.#changed()
    })
    socket.on('error', () => this.#end())
    socket.on('end', () => this.#end())
    socket.on('close', () => this.#end())
  }

  static async connect(port: number): Promise<RespPeer> {
    const socket = dial({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    await once(socket, 'connect')
    return new RespPeer(socket)
  }

  /** Bytes that arrived and are no whole value yet. */
  get pendingBytes(): number {
    return this.#pending.length
  }

  /** Bytes as they are; text stands for latin-1. */
  write(bytes: Uint8Array | string): void {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  send(...words: readonly (string | Uint8Array)[]): void {
    this.write(requestOf(...words))
  }

  /** The next value, or null when the server has ended the connection. */
  async next(): Promise<RespValue | null> {
    for (;;) {
      const found = valueAt(this.#pending, 0)
      if (found !== null) {
        this.#pending = this.#pending.subarray(found.end)
        return found.value
      }
      if (this.#isOver) return null
      await this.#change()
    }
  }

  async take(count: number): Promise<(RespValue | null)[]> {
    const values: (RespValue | null)[] = []
    for (let left = count; left > 0; left--) values.push(await this.next())
    return values
  }

  /** Send, and take one value. */
  async ask(...words: readonly (string | Uint8Array)[]): Promise<RespValue | null> {
    this.send(...words)
    return await this.next()
  }

  /** The next bytes are exactly these. */
  async expect(text: string | Uint8Array): Promise<void> {
    const expected = typeof text === 'string' ? Buffer.from(text, 'latin1') : Buffer.from(text)
    while (this.#pending.length < expected.length && !this.#isOver) await this.#change()
    const got = this.#pending.subarray(0, expected.length)
    assert.equal(got.toString('latin1'), expected.toString('latin1'))
    this.#pending = this.#pending.subarray(expected.length)
  }

  /** The same for very many bytes, which are compared as they come. */
  async expectSoon(expected: Buffer): Promise<void> {
    for (let at = 0; at < expected.length; ) {
      while (this.#pending.length === 0 && !this.#isOver) await this.#change()
      const got = this.#pending.subarray(0, expected.length - at)
      const wanted = expected.subarray(at, at + got.length)
      if (got.length === 0 || !got.equals(wanted))
        assert.equal(got.toString('latin1'), wanted.toString('latin1'), `at ${at}`)
      this.#pending = this.#pending.subarray(got.length)
      at += got.length
      assert.ok(got.length > 0, `the server ended the connection at ${at}`)
    }
  }

  /** Nothing has been sent but what was taken: the answer to a question comes next, and then that to another one. */
  async expectSilence(): Promise<void> {
    for (const word of ['first', 'second']) assert.deepEqual(await this.ask('ECHO', word), ['$', word])
  }

  /** The server has nothing more to say, and ends the connection. */
  async expectEnd(): Promise<void> {
    assert.equal(await this.next(), null)
    assert.equal(this.#pending.toString('latin1'), '')
  }

  /** Say that nothing more will be sent. */
  finish(): void {
    this.socket.end()
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }

  #end(): void {
    this.#isOver = true
    this.#changed()
  }

  #changed(): void {
    this.#onChange?.()
    this.#onChange = null
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onChange = resolve
    })
  }
}
