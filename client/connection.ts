/**
 * One socket, from dialling to its end: frames out, gathered and corked, and frames in, decoded. Called by link.ts,
 * which decides what the frames mean and whether to dial again.
 */
import { createConnection, type Socket } from 'node:net'
import { asLeveretError, DisconnectedError, LeveretError, ProtocolError } from '../src/common/errors.js'
import { createLog } from '../src/common/log.js'
import { ServerFrameDecoder } from '../src/protocol/decode-server.js'
import type { ServerFrame } from '../src/protocol/frames.js'
import { ChunkQueue } from './chunk-queue.js'
import { contiguous, framePieces, splitFrames } from './framing.js'
import { nothing } from './quiet.js'

const log = createLog('client:connection')

export interface ConnectionOwner {
  onFrame(frame: ServerFrame): void
  /** Once, whatever the reason. */
  onEnd(error: LeveretError): void
  /** The socket takes more again after `isWritable` was false. */
  onWritable(): void
}

/** Connect a socket. Throws DisconnectedError or the reason of the signal; then nothing is left open. */
export function openSocket(host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason)
      return
    }
    const socket = createConnection({ host, port, noDelay: true })
    const settle = (): void => {
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners()
    }
    const onAbort = (): void => {
      settle()
      // A socket that nobody waits for any more may still report its end.
      socket.on('error', nothing)
      socket.destroy()
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('error', (cause) => {
      settle()
      reject(new DisconnectedError(`cannot connect to ${host}:${port}: ${cause.message}`, { cause }))
    })
    socket.once('connect', () => {
      settle()
      resolve(socket)
    })
  })
}

export class Connection {
  readonly #socket: Socket
  readonly #owner: ConnectionOwner
  readonly #frameBytesMax: number
  readonly #chunks = new ChunkQueue()
  readonly #closed: Promise<void>
  readonly #remote: string
  #out: Uint8Array[] = []
  #isFlushScheduled = false
  #isWritable = true
  #hasEnded = false
  readonly #flush = () => this.#writeOut()

  /** Takes over a connected socket. */
  constructor(socket: Socket, frameBytesMax: number, owner: ConnectionOwner) {
    this.#socket = socket
    this.#owner = owner
    this.#remote = `${socket.remoteAddress}:${socket.remotePort}`
    this.#frameBytesMax = frameBytesMax
    this.#closed = new Promise((resolve) => {
      socket.once('close', resolve)
    })
    socket.on('data', (chunk: Buffer) => this.#chunks.push(chunk))
    socket.on('end', () => this.#chunks.end())
    socket.on('error', (cause) => this.#end(new DisconnectedError(`connection lost: ${cause.message}`, { cause })))
    socket.on('close', () => this.#end(new DisconnectedError('connection lost')))
    socket.on('drain', () => {
      this.#isWritable = true
      this.#owner.onWritable()
    })
    void this.#read()
  }

  /** False while the socket has more than it wants; frames sent nevertheless are kept. */
  get isWritable(): boolean {
    return this.#isWritable
  }

  /** Send a frame at the end of this callback, together with the others. Its bytes must not change before that. */
  send(frame: Uint8Array): void {
    if (this.#hasEnded) return
    for (const piece of framePieces(frame, this.#frameBytesMax)) this.#out.push(piece)
    if (this.#isFlushScheduled) return
    this.#isFlushScheduled = true
    process.nextTick(this.#flush)
  }

  /** Send what was given and a FIN; resolves when the socket is closed. */
  finish(): Promise<void> {
    this.#writeOut()
    this.#socket.end()
    return this.#closed
  }

  /** Close now. The owner hears of it, unless it already has. */
  destroy(error: LeveretError): void {
    this.#socket.destroy()
    this.#end(error)
  }

  #writeOut(): void {
    this.#isFlushScheduled = false
    const pieces = this.#out
    if (pieces.length === 0 || this.#socket.destroyed) return
    this.#out = []
    this.#socket.cork()
    for (const piece of pieces) this.#isWritable = this.#socket.write(piece)
    this.#socket.uncork()
  }

  async #read(): Promise<void> {
    const decoder = new ServerFrameDecoder()
    let isLeveret = false
    try {
      for await (const pieces of splitFrames(this.#chunks, this.#frameBytesMax)) {
        const frame = contiguous(pieces)
        const decoded = decoder.decode(frame, 0, frame.length)
        isLeveret = true
        this.#owner.onFrame(decoded)
        if (this.#hasEnded) return
      }
      this.destroy(new DisconnectedError('the server closed the connection'))
    } catch (thrown) {
      // Nothing that it said was a frame.
      if (!isLeveret && !this.#hasEnded) {
        const message = `${this.#remote} is no native port of leveret`
        this.destroy(new ProtocolError(message, 'LVT_NOT_LEVERET', { cause: thrown }))
        return
      }
      // The package reports a stream that stops inside a frame by an error of its own: to us, a lost connection.
      const error =
        thrown instanceof LeveretError ? thrown : new DisconnectedError('connection lost', { cause: thrown })
      if (!this.#hasEnded) log('%s', asLeveretError(thrown).message)
      this.destroy(error)
    }
  }

  #end(error: LeveretError): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#out = []
    this.#chunks.end()
    this.#owner.onEnd(error)
  }
}
