/**
 * What `connect` can be told, and the defaults. The limits of a client are all here.
 */
import { type Clock, systemClock } from '../src/common/clock.js'
import { InvalidArgumentError } from '../src/common/errors.js'
import { type Random, systemRandom } from '../src/common/random.js'

export interface ReconnectOptions {
  /** The wait before the first attempt; it doubles with each failure. Default 50. */
  readonly minDelayMs?: number
  /** The longest wait between two attempts. Default 5,000. */
  readonly maxDelayMs?: number
}

export interface ConnectOptions {
  readonly host?: string
  readonly port?: number
  /** Shown by the server in its logs and lists. */
  readonly clientName?: string
  readonly token?: string
  readonly user?: string
  readonly password?: string
  /** Aborts the first dial; it has no effect on a client that is connected. */
  readonly signal?: AbortSignal
  /** How often the client says that it is there. Nothing heard for two of these means that the connection is dead. */
  readonly heartbeatMs?: number
  /** For ever by default. With false, the first lost connection closes the client. */
  readonly reconnect?: boolean | ReconnectOptions
  /** How long a request or a publish may take, reconnects and retries included. */
  readonly requestTimeoutMs?: number
  /** Publishes of one turn of the event loop share frames of at most about this size. */
  readonly batchBytes?: number
  /** The largest frame that is accepted from the server, and sent if the server takes it. */
  readonly maxFrameBytes?: number
  /** Publishes beyond this many bytes unanswered fail with LVT_OVERLOADED. */
  readonly maxPendingBytes?: number
  readonly clock?: Clock
  readonly random?: Random
}

/** The options with their defaults; absent texts are empty, as on the wire. */
export interface ClientSettings {
  readonly host: string
  readonly port: number
  readonly clientName: string
  readonly token: string
  readonly user: string
  readonly password: string
  readonly heartbeatMs: number
  /** Null: a lost connection closes the client. */
  readonly reconnect: { readonly minDelayMs: number; readonly maxDelayMs: number } | null
  readonly requestTimeoutMs: number
  readonly batchBytes: number
  readonly maxFrameBytes: number
  readonly maxPendingBytes: number
  readonly clock: Clock
  readonly random: Random
}

/** Four bytes of length hold no more. */
const FRAME_BYTES_MAX = 0x0fff_ffff

const MIN_DELAY_MS = 50
const MAX_DELAY_MS = 5_000

/** Throws InvalidArgumentError. */
export function settingsOf(options: ConnectOptions): ClientSettings {
  const { reconnect = true } = options
  const settings: ClientSettings = {
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 8889,
    clientName: options.clientName ?? '',
    token: options.token ?? '',
    user: options.user ?? '',
    password: options.password ?? '',
    heartbeatMs: options.heartbeatMs ?? 10_000,
    reconnect: reconnect === false ? null : delaysOf(reconnect === true ? {} : reconnect),
    requestTimeoutMs: options.requestTimeoutMs ?? 30_000,
    batchBytes: options.batchBytes ?? 256 * 1024,
    maxFrameBytes: options.maxFrameBytes ?? 16 * 1024 * 1024,
    maxPendingBytes: options.maxPendingBytes ?? 64 * 1024 * 1024,
    clock: options.clock ?? systemClock,
    random: options.random ?? systemRandom,
  }
  requireWithin('port', settings.port, 1, 65_535)
  requireWithin('heartbeatMs', settings.heartbeatMs, 1, 0x7fff_ffff)
  requireWithin('requestTimeoutMs', settings.requestTimeoutMs, 1, 0x7fff_ffff)
  requireWithin('batchBytes', settings.batchBytes, 1, FRAME_BYTES_MAX)
  requireWithin('maxFrameBytes', settings.maxFrameBytes, 1024, FRAME_BYTES_MAX)
  requireWithin('maxPendingBytes', settings.maxPendingBytes, 1, Number.MAX_SAFE_INTEGER)
  return settings
}

function delaysOf({ minDelayMs = MIN_DELAY_MS, maxDelayMs = MAX_DELAY_MS }: ReconnectOptions) {
  requireWithin('reconnect.minDelayMs', minDelayMs, 1, 0x7fff_ffff)
  requireWithin('reconnect.maxDelayMs', maxDelayMs, minDelayMs, 0x7fff_ffff)
  return { minDelayMs, maxDelayMs }
}

export function requireWithin(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw new InvalidArgumentError(`${name} must be a whole number from ${min} to ${max}, not ${value}`)
  }
}
