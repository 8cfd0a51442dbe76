/**
 * One connection of the tools for MeiliES: requests out, values in, in the order in which they come. What arrives is read no
 * faster than it is asked for. Speaks nothing that MeiliES itself would not understand.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Clock } from '../../common/clock.js'
import { AbortedError, DisconnectedError, ProtocolError } from '../../common/errors.js'
import { isSystemError, systemErrorText } from '../system-errors.js'
import { type Reply, ReplyReader } from './reply-reader.js'

export interface Address {
  readonly host: string
  readonly port: number
}

const CONNECT_MS = 10_000
const KEEP_ALIVE_MS = 10_000

export class RespLink implements Disposable {
  readonly #address: Address
  readonly #signal: AbortSignal
  readonly #socket: Socket
  readonly #chunks: AsyncIterator<Buffer>
  readonly #reader = new ReplyReader()
  /** Asked for and not here yet. */
  #arriving: Promise<IteratorResult<Buffer>> | null = null

  private constructor(address: Address, socket: Socket, signal: AbortSignal) {
    this.#address = address
    this.#signal = signal
    this.#socket = socket
    this.#chunks = socket[Symbol.asyncIterator]()
    signal.addEventListener('abort', this.#onAbort)
  }

  /** Throws DisconnectedError, AbortedError. The signal ends the connection, too. */
  static async connect(address: Address, clock: Clock, signal: AbortSignal): Promise<RespLink> {
    const late = new AbortController()
    const timer = clock.after(CONNECT_MS, () => late.abort(), true)
    const socket = connect({ ...address, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
    // Whoever asks for more is told of it; nobody else is to fall over it.
    socket.on('error', () => undefined)
    try {
      await once(socket, 'connect', { signal: AbortSignal.any([signal, late.signal]) })
      return new RespLink(address, socket, signal)
    } catch (cause) {
      socket.destroy()
      if (signal.aborted) throw new AbortedError('interrupted', { cause })
      const why = isSystemError(cause) ? systemErrorText(cause) : 'it does not answer'
      throw new DisconnectedError(`cannot connect to ${shownAddress(address)}: ${why}`, { cause })
    } finally {
      timer.cancel()
    }
  }

  send(...words: readonly (string | Uint8Array)[]): void {
    this.#socket.write(encodeRequest(words))
  }

  /** Until what was sent has left, more or less. */
  async drained(): Promise<void> {
    if (this.#socket.writableNeedDrain) await Promise.race([once(this.#socket, 'drain'), once(this.#socket, 'close')])
  }

  /** The next value. Throws DisconnectedError, AbortedError, ProtocolError. */
  async next(): Promise<Reply> {
    for (;;) {
      const reply = this.#reader.next()
      if (reply !== null) return reply
      await this.#arrival()
    }
  }

  /** The same, or null when nothing has come after so long. */
  async nextWithin(ms: number, clock: Clock): Promise<Reply | null> {
    for (;;) {
      const reply = this.#reader.next()
      if (reply !== null) return reply
      if (!(await this.#arrivalWithin(ms, clock))) return null
    }
  }

  /** Send, and take the answer. Throws what `next` throws, and ProtocolError with the words of the server. */
  async ask(...words: readonly (string | Uint8Array)[]): Promise<Reply> {
    this.send(...words)
    const reply = await this.next()
    if (reply.kind === 'error') throw refusalOf(this.#address, reply.text)
    return reply
  }

  [Symbol.dispose](): void {
    this.#signal.removeEventListener('abort', this.#onAbort)
    this.#socket.destroy()
    // Whoever waits for more is told that it is over; nobody may be left to hear it.
    this.#arriving?.catch(() => undefined)
  }

  readonly #onAbort = (): void => {
    this.#socket.destroy()
  }

  async #arrivalWithin(ms: number, clock: Clock): Promise<boolean> {
    let isLate = false
    let timer = { cancel: (): void => undefined }
    const late = new Promise<void>((resolve) => {
      timer = clock.after(
        ms,
        () => {
          isLate = true
          resolve()
        },
        true,
      )
    })
    try {
      await Promise.race([this.#arrival(), late])
      return !isLate
    } finally {
      timer.cancel()
    }
  }

  async #arrival(): Promise<void> {
    this.#arriving ??= this.#chunks.next()
    const arriving = this.#arriving
    let arrived: IteratorResult<Buffer>
    try {
      arrived = await arriving
    } catch (cause) {
      throw this.#lost(cause)
    }
    // Somebody who waited for a time only may have taken it already.
    if (this.#arriving !== arriving) return
    this.#arriving = null
    if (arrived.done === true) throw this.#lost(undefined)
    this.#reader.push(arrived.value)
  }

  #lost(cause: unknown): Error {
    if (this.#signal.aborted) return new AbortedError('interrupted', { cause })
    const why = isSystemError(cause) ? `: ${systemErrorText(cause)}` : ''
    return new DisconnectedError(`${shownAddress(this.#address)} ended the connection${why}`, { cause })
  }
}

/** What the server refused, in its own words. */
export function refusalOf(address: Address, text: string): ProtocolError {
  return new ProtocolError(`${shownAddress(address)} says: ${text}`)
}

export function shownAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

function encodeRequest(words: readonly (string | Uint8Array)[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from(`*${words.length}\r\n`)]
  for (const word of words) {
    const bytes = typeof word === 'string' ? Buffer.from(word) : word
    parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'))
  }
  return Buffer.concat(parts)
}
