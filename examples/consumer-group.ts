/**
 * A partitioned group: its members share the partitions of a topic, and the records of each partition, so those of each key, are
 * processed in order. Run it against a server: PORT=8889 npx tsx examples/consumer-group.ts
 */
import { randomUUID } from 'node:crypto'
import { type Client, connect, KEEP_FOREVER, text } from '../client/index.js'

const port = Number(process.env['PORT'] ?? 8889)
await using publisher = await connect({ port }).catch(giveUp)

const name = `orders-${randomUUID()}`
await publisher.createTopic(name, { retention: KEEP_FOREVER, partitions: 4 })

/** What was processed of each customer, by whomever. */
const processed = new Map<string, string[]>()

/** A member, usually a process of its own. `has` resolves when it reads so many partitions. */
function member(client: Client) {
  let partitions = 0
  let look: (() => void) | null = null
  const orders = client.topic(name, { codec: text() }).subscribe({
    group: 'billing',
    mode: 'partitioned',
    onAssigned: (assigned) => {
      partitions = assigned.partitions.length
      look?.()
    },
  })
  const billing = orders.run(({ key, value }) => {
    const customer = Buffer.from(key ?? []).toString()
    processed.set(customer, [...(processed.get(customer) ?? []), value])
  })
  const has = (wanted: number) =>
    new Promise<void>((resolve) => {
      look = () => partitions === wanted && resolve()
      look()
    })
  return { has, leave: () => orders.close().then(() => billing) }
}

async function publish(orders: readonly string[]): Promise<void> {
  for (const customer of ['ada', 'bert', 'cleo', 'dora', 'emil']) {
    for (const order of orders) await publisher.topic(name, { codec: text() }).publish(order, { key: customer })
  }
  while ((await publisher.describeGroup(name, 'billing')).lag > 0) await new Promise((done) => setTimeout(done, 5))
}

await using first = await connect({ port })
const ann = member(first)
await ann.has(4)
console.log('ann is alone and reads 4 partitions')
await publish(['order 1', 'order 2'])

await using second = await connect({ port })
const bob = member(second)
await Promise.all([ann.has(2), bob.has(2)])
console.log('bob has come: each of them reads 2')
await publish(['order 3'])

await bob.leave()
await ann.has(4)
console.log('bob has gone: ann reads all 4 again')
await publish(['order 4'])
await ann.leave()

for (const [customer, orders] of [...processed].sort()) console.log(`${customer}: ${orders.join(', ')}`)

function giveUp({ message }: Error): never {
  console.error(message)
  process.exit(1)
}
