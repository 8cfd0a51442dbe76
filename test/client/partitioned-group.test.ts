/** Members of a partitioned group through the client, against a real broker. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AssignedPartitions, type Client, connect, json, KEEP_FOREVER, type Topic } from '../../client/index.js'
import { createBroker } from '../../src/index.js'

const GROUP = { group: 'readers', mode: 'partitioned' } as const

async function withNumbers(client: Client, count: number, partitions: number): Promise<Topic<number>> {
  await client.createTopic('numbers', { retention: KEEP_FOREVER, partitions })
  const topic = client.topic('numbers', { codec: json<number>() })
  for (let partition = 0; partition < partitions; partition++) {
    await topic.publishAll(
      Array.from({ length: count }, (_, number) => number),
      { partition },
    )
  }
  return topic
}

/** What a member was told, and a way to wait for the next of it. */
class Told {
  readonly all: AssignedPartitions[] = []
  readonly #waiting: (() => void)[] = []
  readonly onAssigned = (assigned: AssignedPartitions): void => {
    this.all.push(assigned)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  get partitions(): readonly number[] {
    return this.all.at(-1)?.partitions ?? []
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}

test('partitions are shared out among the members, and each is read in order from where the group stands', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  await using other = await connect({ port: broker.port })
  const topic = await withNumbers(client, 20, 4)
  const seen = new Map<number, number[]>()
  const note = ({ partition, value }: { partition: number; value: number }) => {
    const ofPartition = seen.get(partition) ?? []
    seen.set(partition, ofPartition)
    ofPartition.push(value)
  }
  const told = [new Told(), new Told()] as const
  const first = topic.subscribe({ ...GROUP, onAssigned: told[0].onAssigned })
  for (let index = 0; index < 10; index++) {
    const { value } = await first.next()
    if (value !== undefined) note(value)
  }
  assert.deepEqual(told[0].partitions, [0, 1, 2, 3])
  const second = other
    .topic('numbers', { codec: json<number>() })
    .subscribe({ ...GROUP, onAssigned: told[1].onAssigned })
  await told[0].until(() => told[0].partitions.length === 2)
  let left = 80
  const read = async (records: typeof first) => {
    for await (const record of records) {
      note(record)
      left = 80 - Array.from(seen.values(), (values) => values.length).reduce((sum, count) => sum + count, 0)
      if (left === 0) break
    }
  }
  await Promise.race([read(first), read(second)])
  assert.equal(left, 0)
  assert.equal(told[1].partitions.length, 2)
  for (const values of seen.values()) {
    assert.deepEqual(
      values,
      Array.from({ length: 20 }, (_, number) => number),
    )
  }
  await Promise.all([first.close(), second.close()])
  assert.equal(first.lostLeases + second.lostLeases, 0)
})

test('the record at hand is finished before its partition goes to another member', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withNumbers(client, 10, 2)
  const told = [new Told(), new Told()] as const
  const first = topic.subscribe({ ...GROUP, manualCommit: true, onAssigned: told[0].onAssigned })
  const record = (await first.next()).value
  assert.ok(record !== undefined)
  const second = topic.subscribe({ ...GROUP, manualCommit: true, onAssigned: told[1].onAssigned })
  await told[0].until(() => told[0].partitions.length === 1)
  const isTaken = !told[0].partitions.includes(record.partition)
  if (isTaken) assert.deepEqual(told[1].partitions, [])
  assert.equal(record.signal.aborted, false)
  await record.ack()
  await told[1].until(() => told[1].partitions.length === 1)
  const next = (await second.next()).value
  assert.ok(next !== undefined)
  // What was acked does not come again, wherever the partition is now.
  assert.equal(next.value, next.partition === record.partition ? 1 : 0)
  if (isTaken) assert.equal(record.signal.aborted, true)
  await first.close()
  await told[1].until(() => told[1].partitions.length === 2)
})

test('a member that is closed hands over at once what it had fetched', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  await using other = await connect({ port: broker.port })
  const topic = await withNumbers(client, 10, 1)
  const first = topic.subscribe(GROUP)
  await first.next()
  await first.next()
  const second = other.topic('numbers', { codec: json<number>() }).subscribe(GROUP)
  await second.ready
  await client.drain()
  assert.deepEqual([(await second.next()).value?.value, (await second.next()).value?.value], [1, 2])
})
