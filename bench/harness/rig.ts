/**
 * The processes of one case: a server (or none), one process that publishes, and the subscribers, up to four of them
 * in a process of their own each. The same arrangement for every contender.
 */
import type { DialectName } from '../wire/dialects.js'
import type { Workload } from '../wire/stream.js'
import type { PublisherApi } from '../workers/raw-publisher.js'
import type { SubscribersApi, SubscribersJob } from '../workers/raw-subscribers.js'
import type { RelayApi } from '../workers/relay.js'
import type { Bench } from './bench.js'
import type { ChildServer } from './child-server.js'
import { Disposables } from './disposables.js'
import { processorSeconds } from './process-memory.js'
import type { Worker } from './worker.js'

/** `leveret-nats` is leveret spoken to as NATS is; `relay` copies and does nothing else, `direct` has nothing in between: the two limits. */
export type Contender = 'leveret' | 'leveret-nats' | 'nats' | 'relay' | 'direct'

export interface ThroughputCase {
  readonly contender: Contender
  readonly payloadBytes: number
  /** Records in one Publish frame. NATS knows no frames: there it is 1. */
  readonly batch: number
  readonly fanOut: number
}

const SUBSCRIBER_PROCESSES_MAX = 4

const DIALECT_OF: Readonly<Record<Contender, DialectName>> = {
  leveret: 'leveret',
  'leveret-nats': 'nats',
  nats: 'nats',
  relay: 'plain',
  direct: 'plain',
}

/** What one round showed. */
export interface Round {
  readonly perSecond: number
  /** Processor time of the server for one record; null when there is no server, or nobody to ask. */
  readonly serverNs: number | null
}

/** Where the two sides connect; null when the publisher connects to its subscriber. */
interface Place {
  readonly pid: number
  readonly publisher: number
  readonly subscribers: number
}

export interface Sides {
  readonly dialect: DialectName
  readonly workload: Workload
  readonly publishers: number
  /** All publishers together keep no more than this on the way, where there are acknowledgements. */
  readonly unansweredBytesMax: number
  readonly fanOut: number
}

const UNANSWERED_BYTES_MAX = 16 * 1024 * 1024

export class Rig implements AsyncDisposable {
  readonly #parts: Disposables
  readonly #publisher: Worker<PublisherApi>
  readonly #subscribers: readonly Worker<SubscribersApi>[]
  readonly #serverPid: number | null
  #total = 0

  private constructor(
    parts: Disposables,
    serverPid: number | null,
    publisher: Worker<PublisherApi>,
    subscribers: readonly Worker<SubscribersApi>[],
  ) {
    this.#parts = parts
    this.#serverPid = serverPid
    this.#publisher = publisher
    this.#subscribers = subscribers
  }

  static async open(bench: Bench, each: ThroughputCase, label: string): Promise<Rig> {
    const parts = new Disposables()
    try {
      const place = await placeOf(bench, each.contender, label, parts)
      return await Rig.#between(bench, parts, place, {
        dialect: DIALECT_OF[each.contender],
        workload: each,
        publishers: 1,
        unansweredBytesMax: UNANSWERED_BYTES_MAX,
        fanOut: each.fanOut,
      })
    } catch (error) {
      await parts[Symbol.asyncDispose]()
      throw error
    }
  }

  /** The two sides of a server that is there already, and that stays. */
  static async beside(bench: Bench, { pid, port }: Pick<ChildServer, 'pid' | 'port'>, sides: Sides): Promise<Rig> {
    const parts = new Disposables()
    try {
      return await Rig.#between(bench, parts, { pid, publisher: port, subscribers: port }, sides)
    } catch (error) {
      await parts[Symbol.asyncDispose]()
      throw error
    }
  }

  static async #between(bench: Bench, parts: Disposables, place: Place | null, sides: Sides): Promise<Rig> {
    const { dialect, workload, publishers, unansweredBytesMax, fanOut } = sides
    const publisher = parts.use(bench.code.start<PublisherApi>('raw-publisher'))
    const processes = subscriberProcesses(fanOut)
    const subscribers = Array.from({ length: processes }, () =>
      parts.use(bench.code.start<SubscribersApi>('raw-subscribers')),
    )
    const publisherJob = { dialect, workload, publishers, unansweredBytesMax }
    const subscribersJob = { dialect, workload, port: place?.subscribers ?? 0 }
    if (place === null) {
      const port = (await subscribers[0]?.call('listen', { ...subscribersJob, subscribers: 1 })) ?? 0
      await publisher.call('open', { ...publisherJob, port })
    } else {
      await publisher.call('open', { ...publisherJob, port: place.publisher })
      const jobs: SubscribersJob = { ...subscribersJob, subscribers: fanOut / processes }
      await Promise.all(subscribers.map((worker) => worker.call('open', jobs)))
    }
    return new Rig(parts, place?.pid ?? null, publisher, subscribers)
  }

  /**
   * Publish `records` records and wait until each subscriber has each of them and the publishers their
   * acknowledgements: the time runs from the first write to the last arrival.
   */
  async round(records: number): Promise<Round> {
    this.#total += records
    await Promise.all(this.#subscribers.map((worker) => worker.call('expect', this.#total)))
    const usedBefore = this.#serverSeconds()
    const arrivals = Promise.all(this.#subscribers.map((worker) => worker.call('arrived', null)))
    const [{ startNs, endNs }, moments] = await Promise.all([this.#publisher.call('blast', records), arrivals])
    const used = this.#serverSeconds()
    return {
      perSecond: (records * 1e9) / (Math.max(endNs ?? 0, ...moments) - startNs),
      serverNs: used === null || usedBefore === null ? null : ((used - usedBefore) * 1e9) / records,
    }
  }

  /** From now on each publisher keeps no more than so many units on the way. */
  async limit(unansweredUnits: number): Promise<void> {
    await this.#publisher.call('limit', unansweredUnits)
  }

  /** Records of all rounds. */
  get total(): number {
    return this.#total
  }

  #serverSeconds(): number | null {
    return this.#serverPid === null ? null : processorSeconds(this.#serverPid)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts[Symbol.asyncDispose]()
  }
}

/** Each has as many subscribers as the others. */
function subscriberProcesses(fanOut: number): number {
  let processes = Math.min(fanOut, SUBSCRIBER_PROCESSES_MAX)
  while (processes > 1 && fanOut % processes !== 0) processes--
  return processes
}

async function placeOf(bench: Bench, contender: Contender, label: string, parts: Disposables): Promise<Place | null> {
  switch (contender) {
    case 'direct':
      return null
    case 'relay': {
      const relay = parts.use(bench.code.start<RelayApi>('relay'))
      return { pid: relay.pid, ...(await relay.call('open', null)) }
    }
    case 'nats': {
      const { pid, port } = parts.use(await bench.startNats())
      return { pid, publisher: port, subscribers: port }
    }
    case 'leveret-nats': {
      const { pid, port } = parts.use(await bench.startLeveret(label, undefined, 'nats-streaming'))
      return { pid, publisher: port, subscribers: port }
    }
    case 'leveret': {
      const { pid, port } = parts.use(await bench.startLeveret(label))
      return { pid, publisher: port, subscribers: port }
    }
  }
}
