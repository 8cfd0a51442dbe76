/**
 * What publishers hand to the broker and get back. Sessions and gateways implement the sink, so that no promise and
 * no closure is made for a publish on the hot path.
 */
import type { LeveretError } from '../common/errors.js'
import type { PublishReceipt } from '../model/receipt.js'
import type { Durability } from '../model/topic.js'
import type { PublishHow } from '../storage/engine.js'
import type { TopicFacts } from './topic-facts.js'

/** Told exactly once for each publish whose token is not 0; of failures for token 0 as well. */
export interface PublishSink {
  /** The receipt is valid during the call only. */
  published(token: number, topic: TopicFacts, receipt: PublishReceipt): void
  publishFailed(token: number, topic: TopicFacts, error: LeveretError): void
}

const PLAIN: Record<Durability | 'default', PublishHow> = {
  default: { durability: null, expectedOffset: null, producer: '', sequence: null },
  memory: { durability: 'memory', expectedOffset: null, producer: '', sequence: null },
  os: { durability: 'os', expectedOffset: null, producer: '', sequence: null },
  disk: { durability: 'disk', expectedOffset: null, producer: '', sequence: null },
  replicated: { durability: 'replicated', expectedOffset: null, producer: '', sequence: null },
}

/** The way of a publish that asks for nothing but a level; equal ways are the same object and may be merged. */
export function plainHow(durability: Durability | null): PublishHow {
  return PLAIN[durability ?? 'default']
}

/** Whether a publish may share an append with its neighbours. */
export function isPlain(how: PublishHow): boolean {
  return how.expectedOffset === null && how.sequence === null
}
