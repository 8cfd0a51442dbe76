/**
 * A peer that speaks RESP by the byte: it can say what no client would, and sees every reply with its types.
 */
import assert from 'node:assert/strict'
import { BytePeer, dialed } from './byte-peer.js'
import { type RespValue, requestOf, valueAt } from './resp-values.js'

export class RespPeer extends BytePeer {
  static async connect(port: number): Promise<RespPeer> {
    return new RespPeer(await dialed(port))
  }

  send(...words: readonly (string | Uint8Array)[]): void {
    this.write(requestOf(...words))
  }

  /** The next value, or null when the server has ended the connection. */
  async next(): Promise<RespValue | null> {
    for (;;) {
      const found = valueAt(this.pending, 0)
      if (found !== null) {
        this.taken(found.end)
        return found.value
      }
      if (this.isOver) return null
      await this.change()
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

  /** Like `expect`, for very many bytes, which are compared as they come. */
  async expectSoon(expected: Buffer): Promise<void> {
    for (let at = 0; at < expected.length; ) {
      while (this.pending.length === 0 && !this.isOver) await this.change()
      const got = this.pending.subarray(0, expected.length - at)
      const wanted = expected.subarray(at, at + got.length)
      if (got.length === 0 || !got.equals(wanted))
        assert.equal(got.toString('latin1'), wanted.toString('latin1'), `at ${at}`)
      this.taken(got.length)
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
    assert.equal(this.pending.toString('latin1'), '')
  }

  /** Say that nothing more will be sent. */
  finish(): void {
    this.socket.end()
  }
}
