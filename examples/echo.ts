/**
 * Publish and subscribe on one connection. Run it against a server: PORT=8889 npx tsx examples/echo.ts
 */
import { randomUUID } from 'node:crypto'
import { connect, text } from '../client/index.js'

await using client = await connect({ port: Number(process.env['PORT'] ?? 8889) }).catch(giveUp)

// A name that nobody else has, so that the answer does not depend on what ran before.
const topic = client.topic(`echo-${randomUUID()}`, { codec: text() })

// The topic keeps nothing: who wants its records must be there first. Subscribing creates it.
const echoes = topic.subscribe()
await echoes.ready

for (const word of ['one', 'two', 'three']) {
  const { offset } = await topic.publish(word)
  console.log(`published "${word}" at offset ${offset}`)
}

let left = 3
for await (const record of echoes) {
  console.log(`received "${record.value}" from offset ${record.offset}`)
  if (--left === 0) break
}

function giveUp({ message }: Error): never {
  console.error(message)
  process.exit(1)
}
