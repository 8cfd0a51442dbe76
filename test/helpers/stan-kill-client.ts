/**
 * One client of the streaming server in kill-stan.ts, as a process of its own with `node-nats-streaming`: `PORT ROLE NAME JOURNAL`.
 * It leaves reconnecting to its library, and notes what it sees before it acts on it. Lines of a publisher:
 *
 *   acked TEXT               the server has said that it has the message
 *
 * and of those who receive, a `worker` in a durable queue group or an `auditor` with a durable of its own:
 *
 *   got SEQUENCE FLAG TIME TEXT     a message came, flagged as redelivered with 1, else 0
 *   acking SEQUENCE                 its ack is on its way
 *   told SEQUENCE TIME              the ack is in the server's hands: it has answered a ping that came some time behind it
 *
 * Times are of the monotonic clock of the machine, in nanoseconds, so that journals can be laid side by side. SIGTERM ends it in order.
 */
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { connect, type Message, type Stan } from 'node-nats-streaming'
import { below, SeededRandom } from './faulty-random.js'
import { pause } from './kill-server.js'

const CHANNEL = 'work'
const WINDOW = 32
const PUBLISH_TIMEOUT_MS = 3_000
const WORK_MAX_MS = 5
/** One message of so many is forgotten when it comes for the first time. */
const FORGOTTEN_SHARE = 50
/** The server keeps acks within a tenth of a second. */
const ACK_KEPT_MS = 250

const [port, role, name, path] = process.argv.slice(2) as [string, string, string, string]
const journal = openSync(path, 'a')
const random = new SeededRandom(name.length)
let isEnding = false
let disconnects = 0

function note(line: string): void {
  writeSync(journal, `${line}\n`)
}

function fail(what: unknown): never {
  process.stderr.write(`${name}: ${String(what)}\n`)
  process.exit(1)
}

/** The server may be down just now, or not yet know that the one before is dead. */
async function connected(): Promise<Stan> {
  for (;;) {
    const client = connect('test-cluster', name, {
      url: `nats://127.0.0.1:${port}`,
      waitOnFirstConnect: true,
      reconnectTimeWait: 50,
      maxReconnectAttempts: -1,
      ackTimeout: PUBLISH_TIMEOUT_MS,
    })
    const isThere = await new Promise<boolean>((resolve) => {
      client.once('connect', () => resolve(true))
      client.once('error', () => resolve(false))
    })
    if (isThere) return client
    client.on('error', () => undefined)
    await pause(50)
  }
}

const client = await connected()
client.on('error', fail)
client.on('connection_lost', fail)
client.on('disconnect', () => disconnects++)
process.on('SIGTERM', () => {
  isEnding = true
  if (role !== 'publisher') close()
})
if (role === 'publisher') publish()
else receive()

/** As fast as answers come. */
function publish(): void {
  let sent = 0
  let underway = 0
  const more = (): void => {
    while (!isEnding && underway < WINDOW) {
      const text = `${name}/${sent++}`
      underway++
      client.publish(CHANNEL, text, (error) => {
        underway--
        // Without an answer it may be there or not.
        if (!error) note(`acked ${text}`)
        setImmediate(more)
      })
    }
    if (isEnding && underway === 0) close()
  }
  more()
}

function receive(): void {
  const options = client.subscriptionOptions().setDeliverAllAvailable().setManualAckMode(true)
  options.setDurableName('durable').setMaxInFlight(64).setAckWait(2_000)
  const subscription =
    role === 'worker' ? client.subscribe(CHANNEL, 'workers', options) : client.subscribe(CHANNEL, options)
  subscription.on('error', fail)
  subscription.on('timeout', fail)
  subscription.on('message', (message: Message) => void work(message))
}

async function work(message: Message): Promise<void> {
  const sequence = message.getSequence()
  const isRedelivered = message.isRedelivered()
  note(`got ${sequence} ${isRedelivered ? 1 : 0} ${process.hrtime.bigint()} ${String(message.getData())}`)
  if (!isRedelivered && below(random, FORGOTTEN_SHARE) === 0) return
  if (role === 'worker') await pause(below(random, WORK_MAX_MS))
  if (isEnding) return
  const before = disconnects
  note(`acking ${sequence}`)
  message.ack()
  await pause(ACK_KEPT_MS)
  if (disconnects !== before) return
  // Its types leave out the connection below it.
  const { nc } = client as unknown as { nc?: { flush(done: (error?: unknown) => void): void } }
  nc?.flush((error?: unknown) => {
    if (error === undefined && disconnects === before) note(`told ${sequence} ${process.hrtime.bigint()}`)
  })
}

function close(): void {
  client.once('close', () => process.exit(0))
  client.close()
}
