/**
 * The dialect of Floki: its verbs, and its words for requests that are none.
 */
import type { ErrorCode, LeveretError } from '../../../common/errors.js'
import type { MetricsRegistry } from '../../../metrics/registry.js'
import type { Dialect, RespPeer, Verb, Wording } from '../dialect.js'
import { PublishGather, RepeatedReply } from '../publish-gather.js'
import { integer } from '../resp-encode.js'
import type { RespFault } from '../resp-fault.js'
import type { RespRequest } from '../resp-request.js'
import { type ConversationContext, FlokiConversation } from './floki-conversation.js'
import { FlokiLimit, TOO_BIG, wordFailure } from './floki-fault.js'
import { Queues, type QueuesOptions } from './queues.js'
import { Upkeep } from './upkeep.js'

const NO_COMMAND = 'ICOM Invalid Command'
const BAD_TYPE = 'ICOM Invalid Type'

export type FlokiOptions = QueuesOptions &
  Omit<ConversationContext, 'queues' | 'gather' | 'pushedOne'> & {
    readonly metrics: MetricsRegistry
  }

export function flokiDialect(options: FlokiOptions): Dialect<FlokiConversation> {
  const { metrics } = options
  const queues = new Queues(options)
  const context = { ...options, queues, gather: new PublishGather(), pushedOne: new RepeatedReply(integer(1)) }
  const refused = metrics.counter('leveret_floki_requests_limited_total', 'Requests refused at a limit')
  metrics.gauge('leveret_floki_waiting', 'Connections that wait for messages', () => queues.waiting)
  metrics.gauge('leveret_floki_in_flight', 'Messages given out and not done with', () => queues.inFlight)
  const failure = (error: LeveretError): string => {
    if (error instanceof FlokiLimit || LIMITS.has(error.code)) refused.value++
    return wordFailure(error)
  }
  const wording = { ...WORDING, failure }
  const open = (peer: RespPeer) => new FlokiConversation(peer, context)
  return { name: 'floki', verbs: VERBS, wording, open, upkeep: new Upkeep(queues, options) }
}

/** Limits of the broker. */
const LIMITS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(['LVT_TOPIC_LIMIT', 'LVT_RECORD_TOO_LARGE'])

const WORDING: Wording = {
  noArray: NO_COMMAND,
  empty: NO_COMMAND,
  odd: BAD_TYPE,
  unknown: () => 'UCOM Unknown Command',
  lines: () => BAD_TYPE,
  fault: wordFault,
  failure: wordFailure,
}

function wordFault({ kind, detail }: RespFault): string {
  if (kind === 'elements') return NO_COMMAND
  if (kind === 'bulk-bytes') return TOO_BIG
  return `ERR Protocol error: ${detail}`
}

type Act = (conversation: FlokiConversation, request: RespRequest) => Promise<void> | null

/** What only opens a place for its reply may run while others are pending. */
function verb(act: Act, isOrdered = true): Verb<FlokiConversation> {
  return {
    isOrdered,
    run: (conversation, request) =>
      conversation.isReady ? act(conversation, request) : conversation.ready(() => act(conversation, request)),
  }
}

const SET = verb((conversation, request) => conversation.set(request))
const INFO = verb((conversation, request) => conversation.info(request))
const CONFIG = verb((conversation, request) => conversation.config(request))

const VERBS: ReadonlyMap<string, Verb<FlokiConversation>> = new Map([
  ['set', SET],
  ['setnx', SET],
  ['del', verb((conversation, request) => conversation.del(request))],
  ['rpush', verb((conversation, request) => conversation.push(request), false)],
  ['hmget', verb((conversation, request) => conversation.fetch(request), false)],
  ['hdel', verb((conversation, request) => conversation.ack(request), false)],
  ['hmset', verb((conversation, request) => conversation.seek(request))],
  ['srem', verb((conversation, request) => conversation.purge(request))],
  ['info', INFO],
  ['qinfo', INFO],
  ['config', CONFIG],
  ['qconfig', CONFIG],
])
