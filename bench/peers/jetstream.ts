/**
 * JetStream: `nats-server` with a file store, on a free port of the loopback, and one stream made for the bench.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ChildServer } from '../harness/child-server.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { STREAM, STREAM_CONFIG } from '../wire/jetstream-dialect.js'
import { CONNECT } from '../wire/nats-dialect.js'
import type { NatsServer } from './nats.js'

/** When files are synced: every two minutes, or before each answer. */
export type SyncInterval = 'default' | 'always'

const ANSWER_MS_MAX = 20_000
/** JetStream can be told to sync before it answers from this version on. */
const ALWAYS_SINCE = [2, 10] as const

export function canSyncAlways({ version }: NatsServer): boolean {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  return major > ALWAYS_SINCE[0] || (major === ALWAYS_SINCE[0] && minor >= ALWAYS_SINCE[1])
}

export function startJetStream(server: NatsServer, cwd: string, sync: SyncInterval): Promise<ChildServer> {
  const file = join(cwd, 'nats.conf')
  const syncLine = sync === 'always' ? 'sync_interval: always' : ''
  writeFileSync(file, `jetstream {\n  store_dir: "${join(cwd, 'store')}"\n  ${syncLine}\n}\n`)
  return ChildServer.start({
    command: server.file,
    args: ['--config', file, '--addr', '127.0.0.1', '--port', '-1'],
    cwd,
    listening: /Listening for client connections on 127\.0\.0\.1:(\d+)[\s\S]*Server is ready/,
  })
}

export async function createStream(port: number): Promise<void> {
  await ask(port, `STREAM.CREATE.${STREAM}`, JSON.stringify(STREAM_CONFIG))
}

/** How many records the stream has. */
export async function streamRecords(port: number): Promise<number> {
  const info = JSON.parse(await ask(port, `STREAM.INFO.${STREAM}`, '')) as { state: { messages: number } }
  return info.state.messages
}

/** A durable pull consumer that wants an ack of each record, from the first one on. */
export async function createConsumer(port: number, name: string, ackPendingMax: number): Promise<void> {
  const config = {
    durable_name: name,
    ack_policy: 'explicit',
    deliver_policy: 'all',
    replay_policy: 'instant',
    ack_wait: 30e9,
    max_ack_pending: ackPendingMax,
  }
  await ask(port, `CONSUMER.DURABLE.CREATE.${STREAM}.${name}`, JSON.stringify({ stream_name: STREAM, config }))
}

/** How many records are acked, each one and all before it. */
export async function ackFloor(port: number, consumer: string): Promise<number> {
  const info = JSON.parse(await ask(port, `CONSUMER.INFO.${STREAM}.${consumer}`, '')) as {
    ack_floor: { stream_seq: number }
  }
  return info.ack_floor.stream_seq
}

async function ask(port: number, what: string, body: string): Promise<string> {
  const request = `SUB answer 1\r\nPUB $JS.API.${what} answer ${body.length}\r\n${body}\r\n`
  const progress = new Progress()
  let text = ''
  let answer: string | undefined
  const socket = await openRaw(port, Buffer.from(`${CONNECT}${request}`), progress, (chunk) => {
    text += chunk.toString('latin1')
    answer = /MSG answer[^\n]*\n([^\n]*)\r\n/.exec(text)?.[1]
    progress.made()
  })
  await progress.until(
    () => answer !== undefined,
    ANSWER_MS_MAX,
    () => `no answer to ${what}: ${text}`,
  )
  socket.destroy()
  if (answer === undefined || answer.includes('"error"')) throw new Error(`JetStream answered ${answer}`)
  return answer
}
