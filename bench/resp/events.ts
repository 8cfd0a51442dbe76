/**
 * Events a second from a publisher to its live subscribers: the MeiliES dialect, which stores each before it shows it,
 * beside Redis' pub/sub, which stores nothing, and XREAD.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { Disposables } from '../harness/disposables.js'
import { Rig } from '../harness/rig.js'
import { startRedis } from '../peers/redis.js'
import type { DialectName } from '../wire/dialects.js'
import { inTurns, type Measured, NEW_SERVERS_SECONDS, type Side } from './turns.js'

export type EventServerId = 'redis-pubsub' | 'redis-xread' | 'meilies'

export interface EventsCase {
  readonly payloadBytes: number
  readonly subscribers: number
}

export interface EventsRow extends EventsCase {
  readonly sides: readonly Measured<EventServerId>[]
}

const CASES: readonly EventsCase[] = [100, 1024].flatMap((payloadBytes) =>
  [1, 10].map((subscribers) => ({ payloadBytes, subscribers })),
)
const NAMES: Readonly<Record<EventServerId, string>> = {
  'redis-pubsub': 'Redis PUBLISH (not stored)',
  'redis-xread': 'Redis XADD, XREAD, everysec (synced every second)',
  meilies: 'leveret, classic frames (synced)',
}
const DIALECTS: Readonly<Record<EventServerId, DialectName>> = {
  'redis-pubsub': 'redis-pubsub',
  'redis-xread': 'redis',
  meilies: 'meilies',
}
const UNANSWERED_BYTES_MAX = 4 * 1024 * 1024
const FIRST_RECORDS = 5_000

export async function benchEvents(bench: Bench): Promise<EventsRow[]> {
  const rows: EventsRow[] = []
  for (const each of CASES) {
    if (bench.filter.test(labelOf(each))) rows.push(await measure(bench, each))
  }
  return rows
}

function labelOf({ payloadBytes, subscribers }: EventsCase): string {
  return `events ${payloadBytes} B to ${subscribers}`
}

async function measure(bench: Bench, each: EventsCase): Promise<EventsRow> {
  await using parts = new Disposables()
  const ids: EventServerId[] = bench.redis === null ? ['meilies'] : ['redis-pubsub', 'redis-xread', 'meilies']
  const sides: Side<EventServerId>[] = []
  for (const id of ids) sides.push(await sideOf(bench, parts, id, each))
  return { ...each, sides: await inTurns(bench, labelOf(each), FIRST_RECORDS, sides, NEW_SERVERS_SECONDS) }
}

async function sideOf(
  bench: Bench,
  parts: Disposables,
  id: EventServerId,
  { payloadBytes, subscribers }: EventsCase,
): Promise<Side<EventServerId>> {
  const folder = parts.use(bench.folder())
  const server = parts.use(await start(bench, id, folder.path))
  const rig = parts.use(
    await Rig.beside(bench, server, {
      dialect: DIALECTS[id],
      workload: { payloadBytes, batch: 1 },
      publishers: 1,
      unansweredBytesMax: UNANSWERED_BYTES_MAX,
      fanOut: subscribers,
    }),
  )
  return { id, name: NAMES[id], round: (records) => rig.round(records) }
}

function start(bench: Bench, id: EventServerId, folder: string): Promise<ChildServer> {
  if (id === 'meilies') return bench.startLeveret('meilies', folder, 'meilies')
  if (bench.redis === null) throw new Error('redis-server is not installed')
  return startRedis(bench.redis, folder, 'everysec')
}
