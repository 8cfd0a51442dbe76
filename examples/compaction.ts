/**
 * A topic with a compaction window drops a record whose key it has accepted within the window, and tells its
 * publisher. Run it against a server: PORT=8889 npx tsx examples/compaction.ts
 */
import { randomUUID } from 'node:crypto'
import { connect, text } from '../client/index.js'

const MINUTE_MS = 60_000

await using client = await connect({ port: Number(process.env['PORT'] ?? 8889) }).catch(giveUp)
const name = `compaction-${randomUUID()}`
await client.createTopic(name, {
  retention: { ageMs: 60 * MINUTE_MS, bytes: null, records: null },
  compactionWindowMs: 10 * MINUTE_MS,
})
const orders = client.topic(name, { codec: text() })

// The second delivery of a webhook, the second click on a button: the same key again.
const clicks = [
  ['order-1', 'first click'],
  ['order-2', 'first click'],
  ['order-1', 'second click'],
  ['order-1', 'third click'],
  ['order-3', 'first click'],
] as const

let stored = 0
for (const [key, value] of clicks) {
  const receipt = await orders.publish(value, { key })
  if (!receipt.duplicate) stored++
  console.log(`${key}, ${value}: ${receipt.duplicate ? 'duplicate of' : 'stored at'} offset ${receipt.offset}`)
}

console.log('what a subscriber sees:')
for await (const { offset, key, value } of orders.subscribe({ until: stored })) {
  console.log(`  offset ${offset}: ${Buffer.from(key ?? []).toString()}, ${value}`)
}

function giveUp({ message }: Error): never {
  console.error(message)
  process.exit(1)
}
