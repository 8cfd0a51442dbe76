/**
 * Requests with one answer that may be asked again on a new connection: create, describe, ping. Publishes and
 * subscriptions have their own ways. Called by client.ts and subscription.ts.
 */
import type { Timer } from '../src/common/clock.js'
import { AbortedError, errorFromWire, LeveretError, ProtocolError } from '../src/common/errors.js'
import type { ClientFrame, FailureFrame, ServerFrame } from '../src/protocol/frames.js'
import type { Answerable, Link } from './link.js'
import type { ClientSettings } from './options.js'

export interface RequestOptions {
  readonly signal?: AbortSignal | undefined
}

type Kind = ServerFrame['kind']
type Answer<K extends Kind> = Extract<ServerFrame, { kind: K }>

export class Requests {
  readonly #link: Link
  readonly #settings: ClientSettings
  readonly #pending = new Set<PendingRequest>()
  #over: LeveretError | null = null

  constructor(link: Link, settings: ClientSettings) {
    this.#link = link
    this.#settings = settings
  }

  /** Ask, and ask again after a reconnect. Throws the server's failure, LVT_TIMEOUT, AbortedError, ClosedError. */
  ask<K extends Kind>(kind: K, build: (id: number) => ClientFrame, options: RequestOptions = {}): Promise<Answer<K>> {
    const { signal } = options
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(new AbortedError('the request was aborted', { cause: signal.reason }))
        return
      }
      if (this.#over !== null) {
        reject(this.#over)
        return
      }
      const request = new PendingRequest(build, (outcome) => {
        this.#pending.delete(request)
        timer.cancel()
        signal?.removeEventListener('abort', onAbort)
        if (request.id !== 0) this.#link.forget(request.id)
        if (outcome instanceof LeveretError) reject(outcome)
        else if (isKind(outcome, kind)) resolve(outcome)
        else reject(new ProtocolError(`the server answered with a ${outcome.kind} frame`))
      })
      const onAbort = (): void => request.settle(new AbortedError('the request was aborted', { cause: signal?.reason }))
      const timer: Timer = this.#settings.clock.after(this.#settings.requestTimeoutMs, () => {
        request.settle(new LeveretError('LVT_TIMEOUT', 'no answer came in time'))
      })
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#pending.add(request)
      this.#send(request)
    })
  }

  /** A new connection: ask everything again, in order. */
  onUp(): void {
    for (const request of this.#pending) this.#send(request)
  }

  /** The client is over: this and every later request fails. */
  fail(error: LeveretError): void {
    this.#over = error
    for (const request of this.#pending) request.settle(error)
  }

  #send(request: PendingRequest): void {
    if (!this.#link.isUp) return
    request.id = this.#link.nextId(request)
    this.#link.send(request.build(request.id))
  }
}

class PendingRequest implements Answerable {
  id = 0
  readonly build: (id: number) => ClientFrame
  readonly settle: (outcome: ServerFrame | LeveretError) => void

  constructor(build: (id: number) => ClientFrame, settle: (outcome: ServerFrame | LeveretError) => void) {
    this.build = build
    this.settle = settle
  }

  onAnswer(frame: ServerFrame): void {
    this.settle(frame.kind === 'failure' ? errorOf(frame) : frame)
  }
}

function isKind<K extends Kind>(frame: ServerFrame, kind: K): frame is Answer<K> {
  return frame.kind === kind
}

export function errorOf(frame: FailureFrame): LeveretError {
  const topic = frame.topic === '' ? undefined : frame.topic
  const { offsets } = frame
  return errorFromWire(frame.code, frame.message, { retryable: frame.retryable, topic, offsets })
}
