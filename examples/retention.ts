/**
 * A topic with retention keeps records for subscribers that come later, and lets go of them when they are old enough.
 * Run it against a server: PORT=8889 npx tsx examples/retention.ts
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, json } from '../client/index.js'

interface Reading {
  readonly sensor: string
  readonly celsius: number
}

const KEPT_MS = 2000

await using client = await connect({ port: Number(process.env['PORT'] ?? 8889) }).catch(giveUp)
const name = `retention-${randomUUID()}`
await client.createTopic(name, { retention: { ageMs: KEPT_MS, bytes: null, records: null } })
const readings = client.topic(name, { codec: json<Reading>() })

const receipts = await readings.publishAll([
  { sensor: 'cellar', celsius: 8 },
  { sensor: 'attic', celsius: 31 },
])
console.log(`published ${receipts.length} readings to a topic that keeps them for ${KEPT_MS} ms`)

console.log('a subscriber that comes later:')
await readAll()

await sleep(KEPT_MS + 500)
console.log(`a subscriber that comes after more than ${KEPT_MS} ms:`)
await readAll()

/** From the first record that is kept to the last one that was published. */
async function readAll(): Promise<void> {
  let records = 0
  for await (const { offset, value } of readings.subscribe({ from: { offset: 0 }, until: receipts.length, onLost })) {
    console.log(`  offset ${offset}: ${value.sensor} ${value.celsius} C`)
    records++
  }
  console.log(`  ${records} records`)
}

/** Nothing is lost in silence: a subscriber that asks for records which are gone is told which. */
function onLost(lost: { readonly from: number; readonly to: number; readonly cause: string }): void {
  console.log(`  offsets ${lost.from} to ${lost.to - 1} are gone (${lost.cause})`)
}

function giveUp({ message }: Error): never {
  console.error(message)
  process.exit(1)
}
