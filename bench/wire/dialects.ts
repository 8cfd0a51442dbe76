/**
 * The dialects by name, as a job that travels between processes names them.
 */
import { meiliesDialect, redisPubSubDialect } from './event-dialects.js'
import { jetstreamDialect } from './jetstream-dialect.js'
import { keptDialect, leveretDialect, partitionedDialect } from './leveret-dialect.js'
import { natsDialect } from './nats-dialect.js'
import { plainDialect } from './plain-dialect.js'
import { redisDialect } from './redis-dialect.js'
import type { Dialect } from './stream.js'
import { streamingDialect } from './streaming-dialect.js'

/** A topic beside the one that is looked at. */
export const OTHER_TOPIC = 'beside'

export const DIALECTS = {
  leveret: leveretDialect,
  nats: natsDialect,
  plain: plainDialect,
  'leveret-memory': keptDialect('memory'),
  'leveret-os': keptDialect('os'),
  'leveret-disk': keptDialect('disk'),
  'leveret-memory-beside': keptDialect('memory', OTHER_TOPIC),
  'leveret-disk-beside': keptDialect('disk', OTHER_TOPIC),
  'leveret-partitioned': partitionedDialect,
  jetstream: jetstreamDialect,
  redis: redisDialect,
  'redis-pubsub': redisPubSubDialect,
  meilies: meiliesDialect,
  streaming: streamingDialect,
} as const satisfies Record<string, Dialect>

export type DialectName = keyof typeof DIALECTS
