/**
 * A program that publishes record by record through a client library: leveret's own, or the one of NATS. Neither
 * waits for the single record; both keep a bounded number of records in flight.
 */
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node'
import { connect as connectLeveret, type Topic } from '../../client/index.js'
import { offer } from '../harness/calls.js'
import { nowNs } from '../harness/time.js'
import { TOPIC } from '../wire/leveret-dialect.js'
import { payloadOf } from '../wire/stream.js'

export type ClientPeer = 'leveret' | 'nats'

export interface ClientJob {
  readonly port: number
  readonly peer: ClientPeer
  readonly payloadBytes: number
}

const IN_FLIGHT_MAX = 20_000

let publish: (records: number) => Promise<void> = () => Promise.reject(new Error('not open'))

const api = {
  async open(job: ClientJob): Promise<void> {
    const payload = payloadOf(job.payloadBytes)
    if (job.peer === 'nats') {
      const connection = await connectNats({ servers: `127.0.0.1:${job.port}` })
      publish = (records) => publishToNats(connection, payload, records)
    } else {
      const client = await connectLeveret({ port: job.port })
      const topic = client.topic(TOPIC)
      publish = (records) => publishToLeveret(topic, payload, records)
    }
  },

  /** Publish, and wait until the server has everything: its acknowledgements, or the answer to a flush. */
  async publish(records: number): Promise<{ readonly startNs: number; readonly endNs: number }> {
    const startNs = nowNs()
    await publish(records)
    return { startNs, endNs: nowNs() }
  },
}

export type ClientPublisherApi = typeof api

offer(api)

async function publishToLeveret(topic: Topic<Uint8Array>, payload: Uint8Array, records: number): Promise<void> {
  let inFlight = 0
  let failure: unknown = null
  let wake = (): void => {}
  const onReceipt = (): void => {
    inFlight--
    if (inFlight === IN_FLIGHT_MAX / 2 || inFlight === 0) wake()
  }
  const onFailure = (error: unknown): void => {
    failure ??= error
    wake()
  }
  const woken = (): Promise<void> =>
    new Promise((resolve) => {
      wake = resolve
    })
  for (let sent = 0; sent < records; sent++) {
    if (inFlight === IN_FLIGHT_MAX) await woken()
    if (failure !== null) throw failure
    inFlight++
    topic.publish(payload).then(onReceipt, onFailure)
  }
  while (inFlight > 0 && failure === null) await woken()
  if (failure !== null) throw failure
}

async function publishToNats(connection: NatsConnection, payload: Uint8Array, records: number): Promise<void> {
  let flushed = Promise.resolve()
  for (let sent = 0; sent < records; sent++) {
    if (sent % (IN_FLIGHT_MAX / 2) === 0) {
      await flushed
      flushed = connection.flush()
    }
    connection.publish(TOPIC, payload)
  }
  await connection.flush()
}
