/**
 * Who is compared where records survive, and what an acknowledgement means for each: that is part of its name.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { canSyncAlways, createStream, type SyncInterval, startJetStream, streamRecords } from '../peers/jetstream.js'
import { keptRecords } from '../peers/leveret.js'
import { type AppendFsync, startRedis, streamEntries } from '../peers/redis.js'
import type { DialectName } from '../wire/dialects.js'

export type ContenderId =
  | 'leveret-disk'
  | 'leveret-os'
  | 'leveret-memory'
  | 'jetstream-default'
  | 'jetstream-always'
  | 'redis-everysec'
  | 'redis-always'

export interface DurableContender {
  readonly id: ContenderId
  /** With its durability. */
  readonly name: string
  readonly dialect: DialectName
  /** What all publishers together may have unacknowledged: what was found to be best for each. */
  unansweredBytesMax(payloadBytes: number): number
  /** In a folder that may hold what an earlier one left. */
  start(folder: string): Promise<ChildServer>
  /** Once, after its first start. */
  prepare(server: ChildServer): Promise<void>
  /** What the server itself says that it has stored: the acknowledgements that were counted must agree with it. */
  stored(server: ChildServer): Promise<number>
}

const MIB = 1024 * 1024
/** Publishes; newer servers refuse what goes beyond 10,000 that are not yet stored. */
const JETSTREAM_UNANSWERED_MAX = 8_000
/** What stands around the payload of one of them. */
const PUBLISH_BYTES = 25

/** In the order of the tables. */
export function contendersOf(bench: Bench): DurableContender[] {
  const { jetstream, redis } = bench
  const syncs: SyncInterval[] = jetstream === null ? [] : canSyncAlways(jetstream) ? ['default', 'always'] : ['default']
  const fsyncs: AppendFsync[] = redis === null ? [] : ['everysec', 'always']
  return [
    ...syncs.map((sync) => jetstreamOf(bench, sync)),
    ...fsyncs.map((appendFsync) => redisOf(bench, appendFsync)),
    leveretOf(bench, 'memory'),
    leveretOf(bench, 'os'),
    leveretOf(bench, 'disk'),
  ]
}

/** What is left out, and why. */
export function missingOf({ jetstream, redis }: Bench): string[] {
  const missing: string[] = []
  if (jetstream === null) missing.push('nats-server is not installed: JetStream is left out')
  else if (!canSyncAlways(jetstream)) {
    missing.push(
      `nats-server ${jetstream.version} cannot sync before it answers (2.10 can): JetStream "always" is left out`,
    )
  }
  if (redis === null) missing.push('redis-server is not installed: Redis Streams are left out')
  return missing
}

function leveretOf(bench: Bench, level: 'memory' | 'os' | 'disk'): DurableContender {
  const meaning = { memory: 'not yet written', os: 'written', disk: 'synced' }[level]
  return {
    id: `leveret-${level}`,
    name: `leveret, ${level} (${meaning})`,
    dialect: `leveret-${level}`,
    unansweredBytesMax: () => 4 * MIB,
    start: (folder) => bench.startLeveret(`durable-${level}`, folder),
    prepare: async () => {},
    stored: ({ port }) => keptRecords(port),
  }
}

function jetstreamOf({ jetstream }: Bench, sync: SyncInterval): DurableContender {
  return {
    id: `jetstream-${sync}`,
    name: sync === 'always' ? 'JetStream, always (synced)' : 'JetStream, default (synced every 2 min)',
    dialect: 'jetstream',
    unansweredBytesMax: (payloadBytes) => JETSTREAM_UNANSWERED_MAX * (PUBLISH_BYTES + payloadBytes),
    start: (folder) => {
      if (jetstream === null) throw new Error('nats-server is not installed')
      return startJetStream(jetstream, folder, sync)
    },
    prepare: ({ port }) => createStream(port),
    stored: ({ port }) => streamRecords(port),
  }
}

function redisOf({ redis }: Bench, appendFsync: AppendFsync): DurableContender {
  return {
    id: `redis-${appendFsync}`,
    name: appendFsync === 'always' ? 'Redis, always (synced)' : 'Redis, everysec (synced every second)',
    dialect: 'redis',
    unansweredBytesMax: () => 4 * MIB,
    start: (folder) => {
      if (redis === null) throw new Error('redis-server is not installed')
      return startRedis(redis, folder, appendFsync)
    },
    prepare: async () => {},
    stored: ({ port }) => streamEntries(port),
  }
}
