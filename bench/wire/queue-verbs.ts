/**
 * A queue in the words of Floki, and in those of Redis Streams: the same three requests, pre-encoded as far as they can be.
 */
import { command } from './resp.js'
import { payloadOf } from './stream.js'

export interface QueueVerbs {
  /** Append one message. */
  push(queue: string, payloadBytes: number): Buffer
  /** Lines of the answer to that. */
  readonly pushLines: number
  /** Take up to `count` messages that there are. */
  fetch(queue: string, group: string, count: number): Buffer
  /** Strings and numbers of one message in the answer: which of them names it, and how many there are. */
  readonly namePlace: number
  readonly pieces: number
  /** Of the answer, before the first message. */
  readonly piecesBefore: number
  ack(queue: string, group: string, names: readonly string[]): Buffer
}

const FIELD = 'd'

const floki: QueueVerbs = {
  push: (queue, payloadBytes) => command('RPUSH', queue, payloadOf(payloadBytes)),
  pushLines: 1,
  fetch: (queue, group, count) => command('HMGET', queue, group, String(count)),
  // [[id, ticket, body], ...]
  namePlace: 2,
  pieces: 3,
  piecesBefore: 0,
  ack: (queue, group, names) => command('HDEL', queue, group, ...names),
}

const redis: QueueVerbs = {
  push: (queue, payloadBytes) => command('XADD', queue, '*', FIELD, payloadOf(payloadBytes)),
  pushLines: 2,
  fetch: (queue, group, count) =>
    command('XREADGROUP', 'GROUP', group, 'm', 'COUNT', String(count), 'STREAMS', queue, '>'),
  // [[queue, [[id, [field, body]], ...]]]
  namePlace: 1,
  pieces: 3,
  piecesBefore: 1,
  ack: (queue, group, names) => command('XACK', queue, group, ...names),
}

export const QUEUE_VERBS = { floki, redis } as const satisfies Record<string, QueueVerbs>

export type QueueDialect = keyof typeof QUEUE_VERBS
