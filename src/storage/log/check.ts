/**
 * `leveret check`: verifies a whole data directory without a server. Reads every byte of every log and writes nothing,
 * unless it is to repair; then it puts right what can be without loss, and nothing else.
 */
import { join, resolve } from 'node:path'
import { InvalidArgumentError, LeveretError } from '../../common/errors.js'
import type { CheckReport, CheckRequest } from '../check-report.js'
import { Place } from './batch-format.js'
import { type CatalogFacts, checkCatalog, checkLock } from './check-catalog.js'
import { CheckContext } from './check-context.js'
import { GONE, leftover, PartitionCheck, STRANGER } from './check-partition.js'
import { DirectoryLock, lookAtLock } from './directory-lock.js'
import { systemCode } from './file-io.js'
import {
  CATALOGS,
  escapeName,
  GROUP_LOG,
  LOCK,
  partitionOf,
  SPARE,
  TOPICS,
  topicDirectory,
  topicIdOf,
} from './file-names.js'
import type { FileSystem } from './file-system.js'
import { type Keyring, keyIdText } from './keyring.js'

export interface CheckSeams {
  readonly fs: FileSystem
  readonly keyring: Keyring | null
}

/**
 * Throws LVT_DATA_IN_USE, LVT_DATA_DAMAGED for a format of another version, LVT_INVALID_ARGUMENT for a directory that
 * holds no data, LVT_ABORTED, and the system's errors.
 */
export async function checkData(request: CheckRequest, { fs, keyring }: CheckSeams): Promise<CheckReport> {
  const data = resolve(request.data)
  refuseOther(fs, data)
  const seen = lookAtLock(fs, data)
  refuseInUse(data, seen.holder)
  const context = new CheckContext(request, data, fs, keyring)
  checkLock(context)
  const lock = request.isRepair ? await DirectoryLock.acquire(fs, data) : null
  let isClosed = false
  try {
    const facts = await checkCatalog(context, seen.witness)
    isClosed = facts.state?.isClosed ?? false
    await checkAll(context, facts)
  } finally {
    await lock?.release()
  }
  // What was found is worth nothing if somebody wrote meanwhile.
  if (lock === null) refuseInUse(data, lookAtLock(fs, data).holder)
  const { findings, counts, totals, isSound } = context
  return { isSound, isClosed, totals, findings, counts }
}

async function checkAll(context: CheckContext, facts: CatalogFacts): Promise<void> {
  checkRoot(context)
  const partitions = checkTopics(context, facts)
  context.totalBytes = partitions.reduce((sum, partition) => sum + partition.bytes, 0)
  for (const partition of partitions) {
    context.endIfAborted()
    await partition.run()
  }
  tellUnopened(context)
}

function refuseOther(fs: FileSystem, data: string): void {
  if (!fs.exists(data)) throw new InvalidArgumentError(`${data} does not exist`)
  const known: readonly string[] = [LOCK, ...CATALOGS, TOPICS]
  if (!known.some((name) => fs.exists(join(data, name)))) {
    throw new InvalidArgumentError(`${data} is no data directory of leveret's`)
  }
}

function refuseInUse(data: string, holder: number | null): void {
  if (holder === null) return
  const message = `the data directory ${data} is in use by process ${holder}; stop it first`
  throw new LeveretError('LVT_DATA_IN_USE', message)
}

function checkRoot(context: CheckContext): void {
  const known: readonly string[] = [LOCK, SPARE, ...CATALOGS, `${TOPICS}/`]
  for (const name of context.fs.list(context.data).sort()) {
    if (known.includes(name)) continue
    const message = leftover(name)
    const kind = message === null ? 'stranger' : 'leftover'
    context.add({ severity: 'note', kind, file: name, message: message ?? STRANGER })
  }
}

interface KnownTopic {
  readonly name: string
  readonly partitions: number
  readonly reserved: ReadonlyMap<number, number>
  readonly dropped: ReadonlyMap<number, number>
  readonly begun: ReadonlyMap<number, number>
}

/** The partitions to be checked; directories that cannot be explained are noted. */
function checkTopics(context: CheckContext, { dataId, state }: CatalogFacts): PartitionCheck[] {
  const root = join(context.data, TOPICS)
  if (!context.fs.exists(root)) return []
  const topics = new Map<number, KnownTopic>()
  for (const { id, name, settings, reserved, dropped, begun } of state?.topics.values() ?? []) {
    topics.set(id, { name, partitions: settings.partitions, reserved, dropped, begun })
  }
  tellRemoved(context, topics)
  const checks: PartitionCheck[] = []
  for (const entry of context.fs.list(root).sort()) {
    const directory = join(root, entry)
    const id = entry.endsWith('/') ? topicIdOf(entry.slice(0, -1)) : null
    const topic = id === null ? undefined : topics.get(id)
    const isItsName = topic !== undefined && entry === `${escapeName(topic.name)}@${id}/`
    if (state !== null && id !== null && topic === undefined && state.dropped.has(id)) {
      const message = 'of a topic that was deleted; the next start removes it'
      context.add({ severity: 'note', kind: 'leftover', file: `${TOPICS}/${entry}`, message })
    } else if (id === null || (state !== null && !isItsName)) {
      const message = id === null ? STRANGER : 'no topic of the catalog has this directory'
      context.add({ severity: 'damage', kind: 'unexplained', file: `${TOPICS}/${entry}`, message })
    } else if (dataId === null) {
      const message = 'was not checked: what its checksums cover is known to the catalog alone'
      context.add({ severity: 'damage', kind: 'unexplained', file: `${TOPICS}/${entry}`, message })
    } else {
      // Without a list of topics the directory at least tells the number of its own.
      const none = { reserved: new Map(), dropped: new Map(), begun: new Map() }
      const known = topic ?? { name: entry.slice(0, -1), partitions: Number.POSITIVE_INFINITY, ...none }
      checks.push(...partitionsOf(context, known, id, dataId, directory))
    }
  }
  return checks
}

function tellRemoved(context: CheckContext, topics: ReadonlyMap<number, KnownTopic>): void {
  for (const [id, { name: topic, begun }] of topics) {
    for (const partition of begun.keys()) {
      const path = join(topicDirectory(context.data, topic, id), String(partition))
      if (context.fs.exists(path)) continue
      context.add({ severity: 'damage', kind: 'missing', topic, partition, file: context.nameOf(path), message: GONE })
    }
  }
}

function partitionsOf(
  context: CheckContext,
  { name: topic, partitions, reserved, dropped, begun }: KnownTopic,
  id: number,
  dataId: string,
  directory: string,
): PartitionCheck[] {
  const checks: PartitionCheck[] = []
  for (const entry of context.fs.list(directory).sort()) {
    const partition = entry.endsWith('/') ? partitionOf(entry.slice(0, -1)) : null
    const path = join(directory, entry)
    const file = context.nameOf(path)
    if (partition === null) {
      context.add({ severity: 'note', kind: 'stranger', topic, file, message: STRANGER })
      continue
    }
    if (partition >= partitions && partition !== GROUP_LOG) {
      const message = `the topic has ${partitions} partitions, and this is another one`
      context.add({ severity: 'damage', kind: 'unexplained', topic, partition, file, message })
    }
    const place = new Place(dataId, id, partition)
    try {
      const reservedEnd = reserved.get(partition) ?? 0
      const droppedFrom = dropped.get(partition) ?? -1
      const hasBegun = begun.has(partition)
      const of = { topic, partition, place, reservedEnd, droppedFrom, hasBegun, logStart: 0 }
      checks.push(new PartitionCheck(context, of, path))
    } catch (error) {
      if (systemCode(error) === '') throw error
      const message = `cannot be read (${systemCode(error)})`
      context.add({ severity: 'damage', kind: 'unreadable', topic, partition, file, message })
    }
  }
  return checks
}

function tellUnopened(context: CheckContext): void {
  for (const [id, batches] of context.unopened) {
    const message = `${batches} batches are sealed with key ${keyIdText(id)}, which was not given: their records were not looked at`
    context.add({ severity: 'note', kind: 'sealed', file: TOPICS, message })
  }
}
