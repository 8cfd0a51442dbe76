/**
 * A program that publishes with acks, or reads and acks everything from the first message on, through a client library: the one of
 * NATS Streaming, or the one of NATS with its JetStream.
 */
import { connect as connectNats, type JetStreamClient } from 'nats-2'
import { connect as connectStreaming, type Stan } from 'node-nats-streaming'
import { offer } from '../harness/calls.js'
import { Progress } from '../harness/raw-socket.js'
import { nowNs } from '../harness/time.js'
import { STREAM } from '../wire/jetstream-dialect.js'
import { SUBJECT } from '../wire/nats-dialect.js'
import { payloadOf } from '../wire/stream.js'
import { CHANNEL } from '../wire/streaming-dialect.js'
import { CLUSTER } from '../wire/streaming-messages.js'

const ARRIVAL_MS_MAX = 60_000

export interface StreamingClientJob {
  readonly port: number
  readonly peer: 'leveret' | 'jetstream'
  readonly payloadBytes: number
  /** Publishes without an answer, and messages without an ack. */
  readonly window: number
}

export interface Reading {
  /** Of the durable subscription or consumer. */
  readonly durable: string
  readonly records: number
}

export interface Timed {
  readonly startNs: number
  readonly endNs: number
}

interface Program {
  publish(payload: Buffer, answered: (error: unknown) => void): void
  /** `received` is called for each message, which is acked. */
  read(durable: string, window: number, received: (bytes: number) => void): Promise<void>
}

let program: Program | null = null
let job: StreamingClientJob | null = null

const api = {
  async open(wanted: StreamingClientJob): Promise<void> {
    job = wanted
    program = wanted.peer === 'leveret' ? await streamingProgram(wanted.port) : await jetstreamProgram(wanted.port)
  },

  /** Publish, and wait for all acks. */
  async publish(records: number): Promise<Timed> {
    if (program === null || job === null) throw new Error('not open')
    const { window, payloadBytes } = job
    const payload = payloadOf(payloadBytes)
    const progress = new Progress()
    const open = program
    const startNs = nowNs()
    let sent = 0
    let answered = 0
    const more = (): void => {
      while (sent < records && sent - answered < window) {
        sent++
        open.publish(payload, onAnswer)
      }
    }
    const onAnswer = (error: unknown): void => {
      if (error !== undefined) {
        progress.fail(new Error(`refused: ${String(error)}`))
        return
      }
      answered++
      // Half a window at a time, as a loop that awaits room would.
      if (sent - answered <= window / 2) more()
      if (answered === records) progress.made()
    }
    more()
    await progress.until(
      () => answered === records,
      ARRIVAL_MS_MAX,
      () => `${answered} of ${records} publishes were acknowledged`,
    )
    return { startNs, endNs: nowNs() }
  },

  async read({ durable, records }: Reading): Promise<Timed> {
    if (program === null || job === null) throw new Error('not open')
    const { window, payloadBytes } = job
    const progress = new Progress()
    let received = 0
    const startNs = nowNs()
    await program.read(durable, window, (bytes) => {
      if (bytes !== payloadBytes) progress.fail(new Error('a message has another length'))
      received++
      if (received >= records) progress.made()
    })
    await progress.until(
      () => received >= records,
      ARRIVAL_MS_MAX,
      () => `${received} of ${records} messages came`,
    )
    return { startNs, endNs: nowNs() }
  },
}

export type StreamingClientApi = typeof api

offer(api)

async function streamingProgram(port: number): Promise<Program> {
  const stan: Stan = connectStreaming(CLUSTER, `program-${process.pid}`, { url: `nats://127.0.0.1:${port}` })
  await new Promise<void>((resolve, reject) => {
    stan.on('connect', () => resolve())
    stan.on('error', reject)
  })
  return {
    publish: (payload, answered) => void stan.publish(CHANNEL, payload, (error) => answered(error)),
    read: (durable, window, received) =>
      new Promise((resolve, reject) => {
        const options = stan.subscriptionOptions().setDeliverAllAvailable()
        const subscription = stan.subscribe(CHANNEL, options.setDurableName(durable).setMaxInFlight(window))
        subscription.on('message', (message: { getRawData(): Buffer }) => received(message.getRawData().length))
        subscription.on('ready', () => resolve())
        subscription.on('error', reject)
      }),
  }
}

async function jetstreamProgram(port: number): Promise<Program> {
  const connection = await connectNats({ servers: `127.0.0.1:${port}` })
  const manager = await connection.jetstreamManager()
  const client: JetStreamClient = connection.jetstream()
  return {
    publish: (payload, answered) => {
      client.publish(SUBJECT, payload).then(() => answered(undefined), answered)
    },
    read: async (durable, window, received) => {
      await manager.consumers.add(STREAM, {
        durable_name: durable,
        ack_policy: 'explicit' as never,
        max_ack_pending: window,
      })
      const consumer = await client.consumers.get(STREAM, durable)
      await consumer.consume({
        max_messages: window,
        callback: (message) => {
          received(message.data.length)
          message.ack()
        },
      })
    },
  }
}
