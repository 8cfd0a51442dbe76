/** Work on one partition of a log store over a disk that fails: appends that are watched, and all that can be read. */
import type { Durability, TopicSettings } from '../../src/model/topic.js'
import type { LogStore } from '../../src/storage/log/log-store.js'
import type { PartitionLog } from '../../src/storage/store.js'
import { batchAt, offsetsSaid } from './batches.js'
import { KEPT } from './engine-disk.js'
import type { FaultyFileSystem } from './faulty-file-system.js'

/** A promise that may never settle. */
export class Watched<Value> {
  /** `pending`, `done`, or the code of the error. */
  state = 'pending'
  readonly promise: Promise<Value>

  constructor(promise: Promise<Value>) {
    this.promise = promise
    promise.then(
      () => {
        this.state = 'done'
      },
      (error) => {
        this.state = error?.code ?? String(error)
      },
    )
  }

  /** Its state when it has settled, or has had long enough to. */
  async outcome(): Promise<string> {
    for (let turn = 0; turn < 20_000 && this.state === 'pending'; turn++) await Promise.resolve()
    return this.state
  }
}

/** Everything that can happen without time passing has happened. */
export async function turns(count = 2_000): Promise<void> {
  for (let turn = 0; turn < count; turn++) await Promise.resolve()
}

export async function logOf(store: LogStore, settings: Partial<TopicSettings> = {}): Promise<PartitionLog> {
  await store.saveTopic('orders', { ...KEPT, ...settings })
  return await store.partition('orders', 0)
}

export function append(
  log: PartitionLog,
  durability: Durability,
  { count = 2, padding = 30, keep = true } = {},
): Watched<unknown> {
  const how = { timestampMs: log.lastTimestampMs, durability, keep, producer: null }
  return new Watched(log.append(batchAt(log.end, count, 0, padding), how))
}

/** The offsets that records say they have, and ranges that are lost, in the order in which a reader gets them. */
export async function readAll(log: PartitionLog): Promise<string[]> {
  const read: string[] = []
  for (let next = log.logStart; next < log.stableEnd; ) {
    const { batches, loss, next: after } = await log.read(next, 1e6)
    if (loss !== null) read.push(`lost ${loss.from} to ${loss.to}`)
    for (const { body } of batches) read.push(...offsetsSaid(Buffer.from(body)).map(String))
    if (after <= next) throw new Error(`a read from ${next} got to ${after}`)
    next = after
  }
  return read
}

/** Syncs of the files that match wait until the function that is returned is called. */
export function holdSyncs(fs: FaultyFileSystem, path: RegExp): () => void {
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  fs.beforeSync((synced) => (path.test(synced) ? gate : Promise.resolve()))
  return release
}
