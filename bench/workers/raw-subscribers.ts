/**
 * One or more raw subscribers in one process, each on its own connection. Counts and throws away.
 */
import { createServer } from 'node:net'
import { offer } from '../harness/calls.js'
import { listenOn } from '../harness/listen.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import { DIALECTS, type DialectName } from '../wire/dialects.js'
import type { Dialect, RecordReader, Workload } from '../wire/stream.js'

const ARRIVAL_MS_MAX = 60_000

export interface SubscribersJob {
  readonly port: number
  readonly dialect: DialectName
  readonly workload: Workload
  readonly subscribers: number
}

interface Subscriber {
  readonly reader: RecordReader
  /** When the last bytes arrived. */
  atNs: number
}

const progress = new Progress()
const subscribers: Subscriber[] = []
let due = 0

const api = {
  /** Answers with the moment before the first of them subscribed. */
  async open(job: SubscribersJob): Promise<number> {
    const dialect: Dialect = DIALECTS[job.dialect]
    const startNs = nowNs()
    for (let index = 0; index < job.subscribers; index++) {
      const subscriber = subscriberOf(job)
      await openRaw(job.port, dialect.subscriberGreeting(), progress, (chunk, socket) =>
        read(subscriber, chunk, (bytes) => socket.write(bytes)),
      )
    }
    await progress.until(
      () => subscribers.every(({ reader }) => reader.isReady),
      ARRIVAL_MS_MAX,
      () => 'not all subscribed',
    )
    return startNs
  },

  /** For the bare loopback: no server in between, the publisher connects here. Answers with the port. */
  async listen(job: SubscribersJob): Promise<number> {
    const subscriber = subscriberOf(job)
    const server = createServer({ noDelay: true }, (socket) => {
      socket.on('error', (error) => progress.fail(error))
      socket.on('data', (chunk) => read(subscriber, chunk as Buffer, () => {}))
    })
    return listenOn(server)
  },

  /** Each subscriber will have `total` records in all. */
  async expect(total: number): Promise<void> {
    due = total
  },

  /** Wait for the records that are expected; answers with the moment at which the last of them was there. */
  async arrived(_: null): Promise<number> {
    const counts = (): number[] => subscribers.map(({ reader }) => reader.records)
    await progress.until(
      () => subscribers.every(({ reader }) => reader.records >= due),
      ARRIVAL_MS_MAX,
      () => `${Math.min(...counts())} of ${due} records`,
    )
    if (Math.max(...counts()) > due) throw new Error(`received ${Math.max(...counts())} records, ${due} were sent`)
    return Math.max(...subscribers.map(({ atNs }) => atNs))
  },
}

export type SubscribersApi = typeof api

offer(api)

function subscriberOf(job: SubscribersJob): Subscriber {
  const subscriber: Subscriber = { reader: DIALECTS[job.dialect].records(job.workload), atNs: 0 }
  subscribers.push(subscriber)
  return subscriber
}

function read(subscriber: Subscriber, chunk: Buffer, reply: (bytes: Buffer) => void): void {
  subscriber.reader.feed(chunk, reply)
  subscriber.atNs = nowNs()
  if (!subscriber.reader.isReady || subscriber.reader.records >= due) progress.made()
}
