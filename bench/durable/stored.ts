/**
 * What a million stored records cost on disk and in memory, and how fast a new server reads them from the start.
 * Resident bytes as the kernel counts them: Linux only, elsewhere null.
 */
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { residentBytes, settledBytes } from '../harness/process-memory.js'
import { Rig } from '../harness/rig.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import { mib } from '../harness/table.js'
import type { SubscribersApi } from '../workers/raw-subscribers.js'
import { type ContenderId, contendersOf, type DurableContender } from './contenders.js'

const PAYLOAD_BYTES = 100
const BATCH = 100
const QUIET_MS = 4_000
const SETTLE_MS_MAX = 12_000
const SAMPLE_MS = 20
/** A file system counts in blocks of this size, whatever its own is. */
const BLOCK_BYTES = 512

/** The level makes no difference to what is stored and read; one of each is enough. */
const WANTED: readonly ContenderId[] = ['jetstream-default', 'redis-everysec', 'leveret-disk']

export interface StoredRow {
  readonly contender: ContenderId
  readonly name: string
  readonly records: number
  /** Space taken by all its files over the bytes of the records, while the server runs and after it has ended. */
  readonly diskRatio: number | null
  readonly diskRatioClosed: number | null
  /** Resident bytes after the records were published. */
  readonly loadedBytes: number | null
  /** Of a new server on the same files, before anything is read. */
  readonly idleBytes: number | null
  /** The most while everything was read, again and again. */
  readonly readingBytesMax: number | null
  readonly readPerSecond: Spread | null
  readonly problems: readonly string[]
}

export async function benchStored(bench: Bench): Promise<StoredRow[]> {
  const rows: StoredRow[] = []
  for (const contender of contendersOf(bench)) {
    const label = `${contender.id} stored`
    if (!WANTED.includes(contender.id) || !bench.filter.test(label)) continue
    const problems: string[] = []
    const row = await bench.attempt(label, problems, () => measure(bench, contender))
    if (row !== null) rows.push(row)
    else rows.push({ ...UNMEASURED, contender: contender.id, name: contender.name, problems })
  }
  return rows
}

const UNMEASURED = {
  records: 0,
  diskRatio: null,
  diskRatioClosed: null,
  loadedBytes: null,
  idleBytes: null,
  readingBytesMax: null,
  readPerSecond: null,
} as const

async function measure(bench: Bench, contender: DurableContender): Promise<StoredRow> {
  const records = bench.isQuick ? 200_000 : 1_000_000
  const recordBytes = records * PAYLOAD_BYTES
  await using folder = bench.folder()
  const loaded = await load(bench, contender, folder.path, records)
  const diskRatioClosed = diskBytes(folder.path) / recordBytes
  await using server = await contender.start(folder.path)
  const idleBytes = await settled(bench, server)
  using peak = new Peak(server.pid)
  const rates: number[] = []
  // The first reading wakes the server and is not counted.
  for (let reading = 0; reading <= Math.max(bench.runs, 3); reading++) {
    const perSecond = await readAll(bench, contender, server, records)
    if (reading > 0) rates.push(perSecond)
  }
  const readPerSecond = spreadOrNull(rates)
  const row = { ...loaded, diskRatioClosed, idleBytes, readingBytesMax: peak.bytes, readPerSecond }
  const shown = (bytes: number | null): string => (bytes === null ? '-' : mib(bytes))
  bench.say(
    `  ${contender.id} stored: ${loaded.diskRatio.toFixed(2)}x on disk, ${diskRatioClosed.toFixed(2)}x closed, ` +
      `resident ${shown(row.loadedBytes)} loaded, ${shown(idleBytes)} idle, ${shown(row.readingBytesMax)} reading; ` +
      `read ${Math.round(readPerSecond?.median ?? 0).toLocaleString('en')} records/s`,
  )
  return { ...row, contender: contender.id, name: contender.name, records, problems: [] }
}

interface Loaded {
  readonly diskRatio: number
  readonly loadedBytes: number | null
}

async function load(bench: Bench, contender: DurableContender, folder: string, records: number): Promise<Loaded> {
  await using server = await contender.start(folder)
  await contender.prepare(server)
  const { dialect } = contender
  const unansweredBytesMax = contender.unansweredBytesMax(PAYLOAD_BYTES)
  const workload = { payloadBytes: PAYLOAD_BYTES, batch: BATCH }
  {
    await using rig = await Rig.beside(bench, server, {
      dialect,
      workload,
      publishers: 1,
      unansweredBytesMax,
      fanOut: 0,
    })
    await rig.round(records)
  }
  const loadedBytes = await settled(bench, server)
  return { loadedBytes, diskRatio: diskBytes(folder) / (records * PAYLOAD_BYTES) }
}

async function readAll(
  bench: Bench,
  { dialect }: DurableContender,
  { port }: ChildServer,
  records: number,
): Promise<number> {
  await using subscriber = bench.code.start<SubscribersApi>('raw-subscribers')
  const workload = { payloadBytes: PAYLOAD_BYTES, batch: BATCH }
  await subscriber.call('expect', records)
  const startNs = await subscriber.call('open', { port, dialect, workload, subscribers: 1 })
  return (records * 1e9) / ((await subscriber.call('arrived', null)) - startNs)
}

async function settled({ isQuick }: Bench, { pid }: ChildServer): Promise<number | null> {
  if (process.platform !== 'linux') return null
  return isQuick ? settledBytes(pid, 1_000, 2_000) : settledBytes(pid, QUIET_MS, SETTLE_MS_MAX)
}

/** The most resident bytes of a process since this began. */
class Peak implements Disposable {
  #bytes: number | null = null
  readonly #timer: NodeJS.Timeout

  constructor(pid: number) {
    const look = (): void => {
      if (process.platform === 'linux') this.#bytes = Math.max(this.#bytes ?? 0, residentBytes(pid))
    }
    look()
    this.#timer = setInterval(look, SAMPLE_MS)
  }

  get bytes(): number | null {
    return this.#bytes
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}

/** Space that is set aside for all files of a folder, whether it is written or not. */
function diskBytes(folder: string): number {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => lstatSync(join(folder, name)))
    .filter((stats) => stats.isFile())
    .reduce((total, { blocks }) => total + blocks * BLOCK_BYTES, 0)
}
