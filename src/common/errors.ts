/**
 * Every error that leveret throws or sends: one catalog of codes, one class per code that callers tell apart.
 * Codes are append-only; a retired code stays listed. The wire carries the code and the class is rebuilt from it.
 */

/**
 * What an error does to the peer that caused it: `answer` fails one request, `close` ends one connection,
 * `stop` ends the process. `retryable` means that the same request may succeed later.
 */
export interface ErrorKind {
  readonly fate: 'answer' | 'close' | 'stop'
  readonly retryable: boolean
  readonly meaning: string
}

const answer = (meaning: string, retryable = false): ErrorKind => ({ fate: 'answer', retryable, meaning })
const close = (meaning: string, retryable = false): ErrorKind => ({ fate: 'close', retryable, meaning })
const stop = (meaning: string): ErrorKind => ({ fate: 'stop', retryable: false, meaning })

export const ERROR_CATALOG = {
  LVT_PROTOCOL: answer('the frame is well delimited, but its body is not a valid message'),
  LVT_UNSUPPORTED: answer('known to the protocol, but not offered by this server or engine'),
  LVT_INVALID_ARGUMENT: answer('a field has a value that is never accepted'),
  LVT_TOPIC_NOT_FOUND: answer('the topic does not exist'),
  LVT_TOPIC_CONFLICT: answer('the topic exists with other settings'),
  LVT_TOPIC_LIMIT: answer('the server holds as many topics as it may'),
  LVT_PARTITION_NOT_FOUND: answer('the topic has no such partition'),
  LVT_SUBSCRIPTION_EXISTS: answer('the connection already has a subscription with this number'),
  LVT_SUBSCRIPTION_NOT_FOUND: answer('the connection has no subscription with this number'),
  LVT_SUBSCRIPTION_LIMIT: answer('the connection holds as many subscriptions as it may'),
  LVT_GROUP_NOT_FOUND: answer('the topic has no group of this name'),
  LVT_GROUP_CONFLICT: answer('the name belongs to a group of another mode'),
  LVT_GROUP_IN_USE: answer('another member has the place', true),
  LVT_FENCED: answer('the partition was given to another member, or read anew, since'),
  LVT_LEASE_LOST: answer('the member has the record no more: it is done with, or will be delivered again'),
  LVT_WRONG_OFFSET: answer('the expected offset is not the next offset of the partition'),
  LVT_SEQUENCE_TOO_OLD: answer('the producer sequence is older than the receipts kept for its producer'),
  LVT_RECORD_TOO_LARGE: answer('the records do not fit into one frame'),
  LVT_OVERLOADED: answer('too much is waiting for this topic or connection', true),
  LVT_UNAVAILABLE: answer('the engine could not do it, and it did not happen', true),
  LVT_IN_DOUBT: answer('nobody can say whether it happened; safe to retry only with a producer sequence', true),
  LVT_READ_ONLY: answer('the partition takes no more records until an operator has looked at it', true),
  LVT_INTERNAL: answer('a defect in the server; its log has the cause'),
  LVT_FRAME_TOO_LARGE: close('a frame is announced that is larger than the limit'),
  LVT_FRAME_LENGTH_INVALID: close('a frame length is padded or longer than 4 bytes'),
  LVT_NOT_LEVERET: close('the peer speaks another protocol'),
  LVT_HANDSHAKE_TIMEOUT: close('no whole frame arrived in time after connecting'),
  LVT_FRAME_TIMEOUT: close('a frame was begun and not finished in time'),
  LVT_HEARTBEAT_TIMEOUT: close('the peer was silent for two of its heartbeat intervals'),
  LVT_DRAIN_TIMEOUT: close('the peer did not read what was sent to it'),
  LVT_SLOW_CONSUMER: close('the subscriber fell behind a topic that disconnects slow consumers'),
  LVT_CONNECTION_LIMIT: close('the server holds as many connections as it may', true),
  LVT_SHUTTING_DOWN: close('the server is stopping', true),
  LVT_CLOSED: close('the connection, client or broker was closed'),
  LVT_DISCONNECTED: close('the connection was lost', true),
  LVT_ABORTED: answer('the caller aborted the call'),
  LVT_CODEC: answer('a value could not be encoded to, or decoded from, a payload'),
  LVT_TIMEOUT: answer('no answer came in time', true),
  LVT_CONFIG_INVALID: stop('the configuration has mistakes'),
  LVT_DATA_IN_USE: stop('another process holds the data directory'),
  LVT_DATA_DAMAGED: stop('the data directory cannot be opened without risking records'),
  LVT_KEY_MISSING: stop('the data directory needs an encryption key that was not given'),
  LVT_ADDRESS_IN_USE: stop('a listener could not be opened because its address is taken'),
  LVT_INVARIANT: stop('an internal invariant does not hold'),
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERROR_CATALOG

export interface ErrorDetails {
  readonly cause?: unknown
  readonly topic?: string | undefined
  readonly retryable?: boolean
  /** Of LVT_LEASE_LOST: the records of which it is true. */
  readonly offsets?: readonly number[]
}

/** Base of all errors. `code` is stable and the only thing to compare; `message` is for people. */
export class LeveretError extends Error {
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly topic: string | undefined

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.name = new.target.name
    this.topic = details.topic
    this.retryable = details.retryable ?? ERROR_CATALOG[code].retryable
  }

  get fate(): ErrorKind['fate'] {
    return ERROR_CATALOG[this.code].fate
  }
}

/** A frame or stream that breaks the protocol; the code says whether the connection can go on. */
export class ProtocolError extends LeveretError {
  constructor(
    message: string,
    code: 'LVT_PROTOCOL' | 'LVT_FRAME_TOO_LARGE' | 'LVT_FRAME_LENGTH_INVALID' | 'LVT_NOT_LEVERET' = 'LVT_PROTOCOL',
    details: ErrorDetails = {},
  ) {
    super(code, message, details)
  }
}

export class UnsupportedError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_UNSUPPORTED', message, details)
  }
}

export class InvalidArgumentError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_INVALID_ARGUMENT', message, details)
  }
}

export class TopicNotFoundError extends LeveretError {
  constructor(topic: string) {
    super('LVT_TOPIC_NOT_FOUND', `topic "${topic}" does not exist`, { topic })
  }
}

export class TopicConflictError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_TOPIC_CONFLICT', message, details)
  }
}

export class TopicLimitError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_TOPIC_LIMIT', message, details)
  }
}

export class PartitionNotFoundError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_PARTITION_NOT_FOUND', message, details)
  }
}

export class SubscriptionExistsError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_SUBSCRIPTION_EXISTS', message, details)
  }
}

export class SubscriptionNotFoundError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_SUBSCRIPTION_NOT_FOUND', message, details)
  }
}

export class SubscriptionLimitError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_SUBSCRIPTION_LIMIT', message, details)
  }
}

export class GroupNotFoundError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_GROUP_NOT_FOUND', message, details)
  }
}

export class GroupConflictError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_GROUP_CONFLICT', message, details)
  }
}

export class GroupInUseError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_GROUP_IN_USE', message, details)
  }
}

export class FencedError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_FENCED', message, details)
  }
}

export class LeaseLostError extends LeveretError {
  /** Of which records of those that were named it is true; empty where nobody says. */
  readonly offsets: readonly number[]

  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_LEASE_LOST', message, details)
    this.offsets = details.offsets ?? []
  }
}

export class WrongOffsetError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_WRONG_OFFSET', message, details)
  }
}

export class SequenceTooOldError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_SEQUENCE_TOO_OLD', message, details)
  }
}

export class RecordTooLargeError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_RECORD_TOO_LARGE', message, details)
  }
}

export class OverloadedError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_OVERLOADED', message, details)
  }
}

/** The engine failed and nothing was changed. */
export class UnavailableError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_UNAVAILABLE', message, details)
  }
}

/** The partition takes no more records: its disk failed. */
export class ReadOnlyError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_READ_ONLY', message, details)
  }
}

/** The client or server end is closed, or is closing; nothing more can be asked of it. */
export class ClosedError extends LeveretError {
  constructor(message: string, code: 'LVT_CLOSED' | 'LVT_SHUTTING_DOWN' = 'LVT_CLOSED', details: ErrorDetails = {}) {
    super(code, message, details)
  }
}

/** The connection was lost; the client reconnects by itself unless told not to. */
export class DisconnectedError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_DISCONNECTED', message, details)
  }
}

export class AbortedError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_ABORTED', message, details)
  }
}

/** A value that its codec cannot turn into a payload, or a payload that it cannot turn into a value. */
export class CodecError extends LeveretError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('LVT_CODEC', message, details)
  }
}

/** All mistakes of a configuration at once, one a line in `message`. */
export class ConfigError extends LeveretError {
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[], details: ErrorDetails = {}) {
    super('LVT_CONFIG_INVALID', mistakes.join('\n'), details)
    this.mistakes = mistakes
  }
}

/** A state that the code rules out. Never caught to be answered: the process must not go on with it. */
export class InvariantError extends LeveretError {
  constructor(message: string) {
    super('LVT_INVARIANT', message)
  }
}

const CLASS_BY_CODE: Partial<Record<ErrorCode, new (message: string, details?: ErrorDetails) => LeveretError>> = {
  LVT_UNSUPPORTED: UnsupportedError,
  LVT_INVALID_ARGUMENT: InvalidArgumentError,
  LVT_TOPIC_CONFLICT: TopicConflictError,
  LVT_TOPIC_LIMIT: TopicLimitError,
  LVT_PARTITION_NOT_FOUND: PartitionNotFoundError,
  LVT_SUBSCRIPTION_EXISTS: SubscriptionExistsError,
  LVT_SUBSCRIPTION_NOT_FOUND: SubscriptionNotFoundError,
  LVT_SUBSCRIPTION_LIMIT: SubscriptionLimitError,
  LVT_WRONG_OFFSET: WrongOffsetError,
  LVT_GROUP_NOT_FOUND: GroupNotFoundError,
  LVT_GROUP_CONFLICT: GroupConflictError,
  LVT_GROUP_IN_USE: GroupInUseError,
  LVT_FENCED: FencedError,
  LVT_LEASE_LOST: LeaseLostError,
  LVT_SEQUENCE_TOO_OLD: SequenceTooOldError,
  LVT_RECORD_TOO_LARGE: RecordTooLargeError,
  LVT_OVERLOADED: OverloadedError,
  LVT_UNAVAILABLE: UnavailableError,
  LVT_READ_ONLY: ReadOnlyError,
  LVT_DISCONNECTED: DisconnectedError,
  LVT_ABORTED: AbortedError,
}

export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_CATALOG, code)
}

/** Rebuild an error that came over the wire. A code of a newer server becomes LVT_INTERNAL and is named in the message. */
export function errorFromWire(code: string, message: string, details: ErrorDetails = {}): LeveretError {
  if (!isErrorCode(code)) return new LeveretError('LVT_INTERNAL', `${code}: ${message}`, details)
  if (code === 'LVT_TOPIC_NOT_FOUND' && details.topic !== undefined) return new TopicNotFoundError(details.topic)
  const Class = CLASS_BY_CODE[code]
  return Class === undefined ? new LeveretError(code, message, details) : new Class(message, details)
}

/** Whatever was thrown, as a LeveretError: foreign errors become LVT_INTERNAL with the original as `cause`. */
export function asLeveretError(thrown: unknown): LeveretError {
  if (thrown instanceof LeveretError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new LeveretError('LVT_INTERNAL', message, { cause: thrown })
}
