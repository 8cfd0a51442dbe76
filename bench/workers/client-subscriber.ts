/**
 * A program that consumes record by record with `for await` through a client library.
 */
import { connect as connectNats } from '@nats-io/transport-node'
import { connect as connectLeveret } from '../../client/index.js'
import { offer } from '../harness/calls.js'
import { Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import { TOPIC } from '../wire/leveret-dialect.js'
import type { ClientJob } from './client-publisher.js'

const ARRIVAL_MS_MAX = 60_000
const WINDOW = 100_000

const progress = new Progress()
let payloadBytes = 0
let received = 0
let bytes = 0
let due = Number.POSITIVE_INFINITY
let atNs = 0

const api = {
  async open(job: ClientJob): Promise<void> {
    payloadBytes = job.payloadBytes
    await (job.peer === 'nats' ? consumeFromNats(job) : consumeFromLeveret(job))
  },

  /** There will be `total` records in all. */
  async expect(total: number): Promise<void> {
    due = total
  },

  /** Wait for them; answers with the moment at which the last one was there. */
  async arrived(_: null): Promise<number> {
    await progress.until(
      () => received >= due,
      ARRIVAL_MS_MAX,
      () => `${received} of ${due} records`,
    )
    if (bytes !== due * payloadBytes) throw new Error(`received ${bytes} bytes in ${received} records`)
    return atNs
  },
}

export type ClientSubscriberApi = typeof api

offer(api)

async function consumeFromLeveret({ port }: ClientJob): Promise<void> {
  const client = await connectLeveret({ port })
  await new Promise<void>((onCaughtUp, reject) => {
    const consume = async (): Promise<void> => {
      const records = client.topic(TOPIC).subscribe({ window: WINDOW, onCaughtUp })
      for await (const record of records) onPayload(record.payload)
    }
    consume().catch((error: Error) => {
      reject(error)
      progress.fail(error)
    })
  })
}

async function consumeFromNats({ port }: ClientJob): Promise<void> {
  const connection = await connectNats({ servers: `127.0.0.1:${port}` })
  const subscription = connection.subscribe(TOPIC)
  await connection.flush()
  const consume = async (): Promise<void> => {
    for await (const message of subscription) onPayload(message.data)
  }
  consume().catch((error: Error) => progress.fail(error))
}

function onPayload(payload: Uint8Array): void {
  bytes += payload.length
  if (++received !== due) return
  atNs = nowNs()
  progress.made()
}
