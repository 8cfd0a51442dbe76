/**
 * A work queue: workers share the jobs of a topic, a job that fails is tried again, and one that always fails ends among the dead
 * letters. Run it against a server: PORT=8889 npx tsx examples/work-queue.ts
 */
import { randomUUID } from 'node:crypto'
import { connect, KEEP_FOREVER, text } from '../client/index.js'

await using client = await connect({ port: Number(process.env['PORT'] ?? 8889) }).catch(giveUp)

// Names that nobody else has, so that the answer does not depend on what ran before.
const name = `jobs-${randomUUID()}`
const failures = `${name}-failed`
await client.createTopic(failures, { retention: KEEP_FOREVER })
await client.createTopic(name, { retention: KEEP_FOREVER, deadLetterTopic: failures, maxDeliveries: 3 })

const jobs = client.topic(name, { codec: text() })
await jobs.publishAll(['paint', 'sand', 'glue', 'fly', 'polish', 'pack'])
console.log('published 6 jobs')

const told = new Map<string, string>()

async function work(job: string, attempt: number): Promise<void> {
  if (job === 'fly') throw new Error('rabbits do not fly')
  if (job === 'glue' && attempt === 1) throw new Error('the glue was dry')
  told.set(job, attempt === 1 ? 'done' : `done at attempt ${attempt}`)
}

// Two workers; more of them, in other processes, would share the jobs just as well.
const stop = new AbortController()
const workers = [1, 2].map(() =>
  jobs
    .subscribe({ group: 'workers', window: 2 })
    .run(({ value, deliveryCount }) => work(value, deliveryCount + 1), { retryDelayMs: 10, signal: stop.signal }),
)

for await (const { value, headers } of client.topic(failures, { codec: text() }).subscribe()) {
  const header = (wanted: string) => headers.find((one) => one.name === wanted)?.value.toString()
  told.set(value, `given up: ${header('leveret-reason')} (${header('leveret-deliveries')})`)
  break
}
while ((await client.describeGroup(name, 'workers')).lag > 0) await new Promise((resolve) => setTimeout(resolve, 5))
stop.abort()
await Promise.all(workers)

for (const [job, what] of [...told].sort()) console.log(`${job}: ${what}`)

function giveUp({ message }: Error): never {
  console.error(message)
  process.exit(1)
}
