/**
 * Orders and who works on them, as NATS Streaming has it, by `node-nats-streaming` unchanged: publish with acks, share a channel in a durable
 * queue group, leave one message unacked, and go on where the group was. Run it against a server started with --nats-streaming, or
 * against nats-streaming-server: npx tsx examples/nats-streaming.ts
 */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import process from 'node:process'
import { connect, type Message, type Stan, type Subscription } from 'node-nats-streaming'

const cluster = process.env['NATS_CLUSTER'] ?? 'test-cluster'
const url = `nats://127.0.0.1:${process.env['NATS_PORT'] ?? 4222}`
// Names that nobody else has, so that the answer does not depend on what ran before.
const id = randomUUID()
const channel = `orders-${id}`

async function client(name: string): Promise<Stan> {
  const stan = connect(cluster, `${name}-${id}`, { url })
  stan.on('error', (error: Error) => {
    console.error(`no orders by ${url}: ${error.message}`)
    process.exit(1)
  })
  await once(stan, 'connect')
  return stan
}

/** Resolves when the server has it on its disk. */
function publish(stan: Stan, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    stan.publish(channel, text, (error, guid) => (error ? reject(error) : resolve(guid ?? '')))
  })
}

/** As a member of the queue group, whose place is kept while nobody is there. */
function work(stan: Stan): Subscription {
  const options = stan.subscriptionOptions().setDeliverAllAvailable().setManualAckMode(true)
  return stan.subscribe(channel, 'workers', options.setDurableName('orders').setMaxInFlight(1))
}

const shop = await client('shop')
for (const text of ['two cups', 'a plate', 'a spoon']) {
  await publish(shop, text)
  console.log(`published ${text}`)
}

const first = await client('first')
const theirs = work(first)
await new Promise<void>((resolve) => {
  theirs.on('message', (message: Message) => {
    console.log(`first: ${message.getSequence()} ${message.getData()}`)
    if (message.getSequence() === 1) message.ack()
    else resolve()
  })
})
// Without an ack of the second one.
first.close()
await once(first, 'close')

await publish(shop, 'a bowl')
const second = await client('second')
await new Promise<void>((resolve) => {
  work(second).on('message', (message: Message) => {
    const again = message.isRedelivered() ? ', again' : ''
    console.log(`second: ${message.getSequence()} ${message.getData()}${again}`)
    message.ack()
    if (message.getSequence() === 4) resolve()
  })
})
for (const stan of [second, shop]) {
  stan.close()
  await once(stan, 'close')
}
