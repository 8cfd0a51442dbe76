/**
 * What makes a dialect of RESP: a table of verbs, words for what goes wrong, and what it keeps for a connection. The session
 * (resp-session.ts) does the rest, the same for all.
 */
import type { LeveretError } from '../../common/errors.js'
import type { Connection } from '../../transport/connection.js'
import type { RespVersion } from './resp-encode.js'
import type { RespFault } from './resp-fault.js'
import type { RespRequest } from './resp-request.js'

/** The connection, as handlers of verbs see it. */
export interface RespPeer {
  readonly connection: Connection
  version: RespVersion
  /** What the peer calls itself. */
  clientName: string
  /** It has said what only libraries of Redis say. */
  isLibrary: boolean
  /** Whether a verb of the dialect was said. */
  readonly hasSpoken: boolean
  /** Replies that are held back by one before them. */
  readonly heldReplies: number
  /** The reply to the request at hand. */
  reply(bytes: Buffer): void
  /** The same, an error. */
  fail(text: string): void
  /** A place for the reply to the request at hand, to be given to `settle` once. */
  later(): number
  settle(ticket: number, bytes: Buffer): void
  /** Look at nothing that follows the request at hand, and end when it is answered. */
  quit(): void
  /** End when all that was read is answered. */
  shutDown(): void
}

/** What a dialect keeps for one connection. */
export interface Conversation {
  /** Events may come between replies, in the frames of Redis' own subscriptions. */
  readonly isListening: boolean
  /** Do what was put off to be done together: something else is about to be replied, or no more requests are at hand. */
  flush(): void
  /** There is room in the outbox, or fewer replies wait. */
  drained(): void
  /** The peer will send nothing more, and may be gone. */
  ended(): void
  /** Forget what the connection has asked for; it goes on. */
  reset(): void
  /** The connection is gone, or is about to be. */
  close(): void
}

export interface Verb<State extends Conversation> {
  /**
   * It sees the effect of every request before it, and so waits for their replies. Others may run while those are
   * pending, as long as they only open places for replies.
   */
  readonly isOrdered: boolean
  /** The request is valid until this returns, or until what it returns is settled. Throws the error to answer with. */
  run(state: State, request: RespRequest, peer: RespPeer): Promise<void> | null
}

export interface Wording {
  /** The top-level value is no array, or is nil. */
  readonly noArray: string
  readonly empty: string
  /** An element that is no string. */
  readonly odd: string
  /** The verb is shown as far as it is text. */
  unknown(verb: string): string
  /** What is wrong with a request that has simple strings or errors among its elements, if anything is. */
  lines(request: RespRequest): string | null
  /** Nothing behind it can be read. */
  fault(fault: RespFault): string
  failure(error: LeveretError): string
}

export interface Dialect<State extends Conversation> {
  readonly name: string
  /** Under their names in lower case. */
  readonly verbs: ReadonlyMap<string, Verb<State>>
  readonly wording: Wording
  open(peer: RespPeer): State
  /** What it does by itself, as long as it listens. */
  readonly upkeep?: { start(): void; stop(): Promise<void> }
}
