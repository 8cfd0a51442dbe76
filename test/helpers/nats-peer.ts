/**
 * A peer that speaks the NATS protocol by the byte: it can say what no client would, and sees every byte of the answers.
 */
import { BytePeer, dialed } from './byte-peer.js'

/** Options of a connection that is spoken to as little as possible. */
export const QUIET = 'CONNECT {"verbose":false,"pedantic":false,"protocol":1}\r\n'
/** The same of one that knows headers and wants to be told that nobody is there. */
export const MODERN = 'CONNECT {"verbose":false,"pedantic":false,"protocol":1,"headers":true,"no_responders":true}\r\n'

export class NatsPeer extends BytePeer {
  /** What the server said first. */
  info = ''

  /** With INFO read, and `hello` written. */
  static async connect(port: number, hello = ''): Promise<NatsPeer> {
    const peer = new NatsPeer(await dialed(port))
    peer.info = await peer.line()
    if (hello !== '') peer.write(hello)
    return peer
  }

  /** The next line with its end; what there is when the server ends the connection. */
  async line(): Promise<string> {
    for (;;) {
      const end = this.pending.indexOf('\n')
      if (end >= 0) return this.taken(end + 1).toString('latin1')
      if (this.isOver) return this.taken(this.pendingBytes).toString('latin1')
      await this.change()
    }
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
      const end = this.pending.indexOf('PONG\r\n')
      if (end >= 0) {
        const text = this.taken(end).toString('latin1')
        this.taken('PONG\r\n'.length)
        return text
      }
      if (this.isOver) return `${this.taken(this.pendingBytes).toString('latin1')}<end>`
      await this.change()
    }
  }

  /** All until the server ends the connection. */
  async rest(): Promise<string> {
    while (!this.isOver) await this.change()
    return this.taken(this.pendingBytes).toString('latin1')
  }
}
