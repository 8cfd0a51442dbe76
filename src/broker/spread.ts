/**
 * A publish without a partition on a topic that has several: keyed records go by the hash of their key, the others
 * together to one partition in turn. The publisher gets one receipt that tells where each record went.
 */
import type { LeveretError } from '../common/errors.js'
import type { PartReceipt, PublishReceipt } from '../model/receipt.js'
import type { RecordRun } from '../model/record.js'
import { recordBounds, recordKey } from '../model/run.js'
import { type Durability, weaker } from '../model/topic.js'
import type { PublishHow } from '../storage/engine.js'
import { murmur2, partitionOf } from './partitioner.js'
import type { PublishSink } from './publish.js'
import type { Topic } from './topic.js'
import type { TopicFacts } from './topic-facts.js'

interface Share {
  readonly spans: { start: number; end: number }[]
  /** Indexes into the published run. */
  readonly records: number[]
}

/** Publish each partition's share; `sink` is told once all of them are settled. */
export function publishSpread(topic: Topic, run: RecordRun, how: PublishHow, sink: PublishSink, token: number): void {
  const shares = shareOut(topic, run, unkeyedPartition(topic, how))
  if (shares.size === 1) {
    const [partition = 0] = shares.keys()
    topic.controllers?.[partition]?.publish(run, how, sink, token)
    return
  }
  const gathering = new SpreadSink(topic, sink, token, shares)
  for (const [partition, share] of shares) {
    topic.controllers?.[partition]?.publish(gather(run, share), how, gathering, partition + 1)
  }
}

/** The next partition in turn; a retry-safe publish must find the same one again, so it goes by producer and sequence. */
function unkeyedPartition(topic: Topic, how: PublishHow): number {
  const { partitions } = topic.settings
  if (how.sequence !== null) return ((murmur2(Buffer.from(how.producer)) >>> 0) + how.sequence) % partitions
  topic.roundRobin = (topic.roundRobin + 1) % partitions
  return topic.roundRobin
}

function shareOut(topic: Topic, run: RecordRun, unkeyed: number): Map<number, Share> {
  const { buffer } = run
  const shares = new Map<number, Share>()
  let position = run.start
  for (let index = 0; index < run.count; index++) {
    const { start, end } = recordBounds(buffer, position)
    const key = recordKey(buffer, start, end)
    const partition = key === null ? unkeyed : partitionOf(key, topic.settings.partitions)
    let share = shares.get(partition)
    if (share === undefined) {
      share = { spans: [], records: [] }
      shares.set(partition, share)
    }
    share.records.push(index)
    share.spans.push({ start: position, end })
    position = end
  }
  return shares
}

function gather(run: RecordRun, { spans, records }: Share): RecordRun {
  const buffer = Buffer.concat(spans.map(({ start, end }) => run.buffer.subarray(start, end)))
  return { buffer, start: 0, end: buffer.length, count: records.length }
}

/** Collects the receipts of the shares; its tokens are partition + 1, since 0 asks for no receipt. */
class SpreadSink implements PublishSink {
  readonly #topic: Topic
  readonly #sink: PublishSink
  readonly #token: number
  readonly #shares: ReadonlyMap<number, Share>
  readonly #parts: PartReceipt[] = []
  /** The weakest level that a part reached. */
  #durability: Durability | null = null
  #error: LeveretError | null = null
  #open: number

  constructor(topic: Topic, sink: PublishSink, token: number, shares: ReadonlyMap<number, Share>) {
    this.#topic = topic
    this.#sink = sink
    this.#token = token
    this.#shares = shares
    this.#open = shares.size
  }

  published(token: number, _topic: TopicFacts, receipt: PublishReceipt): void {
    const { partition, baseOffset, count, duplicates, keptOffsets } = receipt
    const records = this.#shares.get(token - 1)?.records ?? []
    const inRun = (duplicates ?? []).map((index) => records[index] as number)
    this.#parts.push({ partition, baseOffset, count, records, duplicates: inRun, keptOffsets: keptOffsets ?? [] })
    this.#durability = weaker(this.#durability ?? receipt.durability, receipt.durability)
    this.#settled()
  }

  publishFailed(_token: number, _topic: TopicFacts, error: LeveretError): void {
    this.#error ??= error
    this.#settled()
  }

  #settled(): void {
    this.#open--
    if (this.#open > 0) return
    if (this.#error !== null) {
      this.#sink.publishFailed(this.#token, this.#topic, this.#error)
      return
    }
    if (this.#token === 0) return
    const parts = this.#parts.sort((a, b) => a.partition - b.partition)
    this.#sink.published(this.#token, this.#topic, {
      partition: 0,
      baseOffset: 0,
      count: 0,
      durability: this.#durability ?? 'memory',
      duplicates: null,
      keptOffsets: null,
      parts,
    })
  }
}
