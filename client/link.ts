/**
 * The line to the server: dials, greets, keeps alive, and dials again when the connection is lost. It knows frames
 * and answers; what is to be restored on a new connection is its owner's to know (client.ts).
 */
import type { Timer } from '../src/common/clock.js'
import { ClosedError, DisconnectedError, errorFromWire, LeveretError, ProtocolError } from '../src/common/errors.js'
import { createLog } from '../src/common/log.js'
import { encodeClientFrame } from '../src/protocol/encode-client.js'
import { type ClientFrame, PROTOCOL_VERSION, type ServerFrame, type WelcomeFrame } from '../src/protocol/frames.js'
import { Connection, openSocket } from './connection.js'
import { DialLimit } from './dial-limit.js'
import type { ClientSettings } from './options.js'

const log = createLog('client:link')

const ID_MAX = 0xffff_ffff
const CLOSE_TIMEOUT_MS = 1_000
/** A connection on which nothing was heard for so many heartbeats is dead. */
const SILENT_BEATS_MAX = 2

/** Whoever waits for the answer to a request; `onAnswer` is called at most once for an id. */
export interface Answerable {
  onAnswer(frame: ServerFrame, id: number): void
}

export interface LinkOwner {
  /** A new connection is greeted; nothing of the previous one holds any more. */
  onUp(welcome: WelcomeFrame): void
  /** The connection is lost, and another will be dialled. */
  onDown(error: LeveretError): void
  /** It is over: `error` is null when the client closed it. */
  onOver(error: LeveretError | null): void
  /** A frame that answers nothing. */
  onEvent(frame: ServerFrame): void
  onWritable(): void
}

interface Greeting {
  resolve(welcome: WelcomeFrame): void
  reject(error: LeveretError): void
}

export class Link {
  readonly #settings: ClientSettings
  readonly #owner: LinkOwner
  readonly #waiting = new Map<number, Answerable>()
  #connection: Connection | null = null
  #isUp = false
  #isOver = false
  #greeting: Greeting | null = null
  /** What the server answered to a greeting that it will never take, such as a wrong password. */
  #refusal: LeveretError | null = null
  /** Why the server said it would close. */
  #closing: LeveretError | null = null
  #lastId = 0
  #silentBeats = 0
  #heartbeat: Timer | null = null
  #endPause: (() => void) | null = null
  #frameBytesMax: number

  constructor(settings: ClientSettings, owner: LinkOwner) {
    this.#settings = settings
    this.#owner = owner
    this.#frameBytesMax = settings.maxFrameBytes
  }

  get isUp(): boolean {
    return this.#isUp
  }

  get isWritable(): boolean {
    return this.#isUp && this.#connection?.isWritable === true
  }

  /** The largest frame that both ends take. */
  get frameBytesMax(): number {
    return this.#frameBytesMax
  }

  /** Dial for the first time. Throws what prevented it. */
  open(signal: AbortSignal | undefined): Promise<WelcomeFrame> {
    return this.#dial(signal)
  }

  /** An id that no waiting request has; with `answerable`, its answer goes there until the connection is lost. */
  nextId(answerable: Answerable | null = null): number {
    do this.#lastId = this.#lastId === ID_MAX ? 1 : this.#lastId + 1
    while (this.#waiting.has(this.#lastId))
    if (answerable !== null) this.#waiting.set(this.#lastId, answerable)
    return this.#lastId
  }

  /** Nobody waits for this answer any more. */
  forget(id: number): void {
    this.#waiting.delete(id)
  }

  send(frame: ClientFrame): void {
    this.#connection?.send(encodeClientFrame(frame))
  }

  /** Send an encoded frame; its bytes stay as they are until it is answered or the connection is lost. */
  sendBytes(frame: Uint8Array): void {
    this.#connection?.send(frame)
  }

  /** Say goodbye and close. Resolves when the socket is closed, or cut after a second. */
  async close(): Promise<void> {
    if (this.#isOver) return
    const connection = this.#isUp ? this.#connection : null
    this.#over(null)
    if (connection === null) return
    const cut = this.#settings.clock.after(CLOSE_TIMEOUT_MS, () => connection.destroy(closedByUs()))
    connection.send(encodeClientFrame({ kind: 'close', id: 0 }))
    await connection.finish()
    cut.cancel()
  }

  // ---- dialling ----

  /** Resolves when the connection is up and the owner has been told. */
  async #dial(signal: AbortSignal | undefined): Promise<WelcomeFrame> {
    const { clock, host, port, requestTimeoutMs, maxFrameBytes } = this.#settings
    const limit = new DialLimit(clock, requestTimeoutMs, signal)
    try {
      const socket = await openSocket(host, port, limit.signal)
      this.#closing = null
      const greeted = new Promise<WelcomeFrame>((resolve, reject) => {
        this.#greeting = { resolve, reject }
      })
      const connection = new Connection(socket, maxFrameBytes, {
        onFrame: (frame) => this.#onFrame(frame),
        onEnd: (error) => this.#onEnd(connection, error),
        onWritable: () => this.#owner.onWritable(),
      })
      this.#connection = connection
      const onAbort = (): void => connection.destroy(reasonOf(limit.signal))
      limit.signal.addEventListener('abort', onAbort, { once: true })
      if (limit.signal.aborted || this.#isOver) onAbort()
      else this.#hello(connection)
      return await greeted.finally(() => limit.signal.removeEventListener('abort', onAbort))
    } finally {
      limit.release()
    }
  }

  #hello(connection: Connection): void {
    const { clientName, token, user, password, heartbeatMs } = this.#settings
    const id = this.nextId()
    const version = PROTOCOL_VERSION
    connection.send(encodeClientFrame({ kind: 'hello', id, version, clientName, token, user, password, heartbeatMs }))
  }

  async #dialAgain(): Promise<void> {
    const { reconnect, random } = this.#settings
    if (reconnect === null) return
    let delayMs = reconnect.minDelayMs
    for (;;) {
      await this.#pause(delayMs * (0.5 + random.next() / 2))
      if (this.#isOver) return
      try {
        await this.#dial(undefined)
        return
      } catch (thrown) {
        const error = thrown instanceof LeveretError ? thrown : new DisconnectedError('dial failed', { cause: thrown })
        log('cannot reconnect: %s', error.message)
        if (this.#isOver) return
        if (error === this.#refusal) {
          this.#over(error)
          return
        }
      }
      delayMs = Math.min(delayMs * 2, reconnect.maxDelayMs)
    }
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#settings.clock.after(delayMs, resolve, true)
      this.#endPause = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  // ---- the life of a connection ----

  #rise(welcome: WelcomeFrame): void {
    const { maxFrameBytes, heartbeatMs, clock } = this.#settings
    this.#frameBytesMax = Math.min(maxFrameBytes, welcome.maxFrameBytes || maxFrameBytes)
    this.#isUp = true
    this.#silentBeats = 0
    this.#heartbeat = clock.every(heartbeatMs, () => this.#beat())
    this.#owner.onUp(welcome)
  }

  /** Beats are counted rather than milliseconds: a process that slept has heard nothing, and is not cut for it. */
  #beat(): void {
    if (this.#silentBeats >= SILENT_BEATS_MAX) {
      this.#connection?.destroy(new DisconnectedError('the server was silent for two heartbeat intervals'))
      return
    }
    this.#silentBeats++
    this.send({ kind: 'ping', id: this.nextId() })
  }

  #onFrame(frame: ServerFrame): void {
    this.#silentBeats = 0
    if (this.#greeting !== null) {
      this.#onGreeting(frame, this.#greeting)
      return
    }
    if (frame.kind === 'closing') {
      this.#closing = errorFromWire(frame.code, `the server closes the connection: ${frame.message}`)
      return
    }
    const answerable = frame.id === 0 ? undefined : this.#waiting.get(frame.id)
    if (answerable === undefined) {
      this.#owner.onEvent(frame)
      return
    }
    this.#waiting.delete(frame.id)
    answerable.onAnswer(frame, frame.id)
  }

  #onGreeting(frame: ServerFrame, greeting: Greeting): void {
    switch (frame.kind) {
      case 'welcome':
        this.#greeting = null
        // Before anything else can happen to the connection.
        this.#rise(frame)
        greeting.resolve(frame)
        return
      case 'failure': {
        const error = errorFromWire(frame.code, frame.message, { retryable: frame.retryable })
        if (!error.retryable) this.#refusal = error
        greeting.reject(error)
        this.#connection?.destroy(error)
        return
      }
      case 'closing':
        this.#closing = errorFromWire(frame.code, frame.message)
        return
      default:
        greeting.reject(new ProtocolError(`the server greeted with a ${frame.kind} frame`, 'LVT_NOT_LEVERET'))
        this.#connection?.destroy(new DisconnectedError('the server did not greet'))
    }
  }

  #onEnd(connection: Connection, error: LeveretError): void {
    this.#greeting?.reject(this.#closing ?? error)
    this.#greeting = null
    if (this.#connection !== connection) return
    this.#connection = null
    this.#heartbeat?.cancel()
    this.#waiting.clear()
    if (!this.#isUp) return
    this.#isUp = false
    if (this.#isOver) return
    const reason = this.#closing ?? error
    log('connection lost: %s', reason.message)
    if (this.#settings.reconnect === null) {
      this.#over(reason)
      return
    }
    this.#owner.onDown(reason)
    void this.#dialAgain()
  }

  #over(error: LeveretError | null): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#heartbeat?.cancel()
    this.#endPause?.()
    this.#waiting.clear()
    if (!this.#isUp) this.#connection?.destroy(closedByUs())
    this.#isUp = false
    this.#owner.onOver(error)
  }
}

function reasonOf(signal: AbortSignal): LeveretError {
  return signal.reason instanceof LeveretError ? signal.reason : closedByUs()
}

function closedByUs(): ClosedError {
  return new ClosedError('the client was closed')
}
