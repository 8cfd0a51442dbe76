/** Handlers instead of a loop: several at a time, with what becomes of each record. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, connect, json, KEEP_FOREVER, type LeveretError, type Topic } from '../../client/index.js'
import { createBroker } from '../../src/index.js'
import { delivery, done, FakeServer } from '../helpers/fake-server.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const GROUP = { group: 'workers' } as const

async function withJobs(client: Client, count: number, settings = {}): Promise<Topic<number>> {
  await client.createTopic('jobs', { retention: KEEP_FOREVER, ...settings })
  const topic = client.topic('jobs', { codec: json<number>() })
  await topic.publishAll(Array.from({ length: count }, (_, job) => job))
  return topic
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('as many handlers run at a time as were asked for, and their records are acked', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 50)
  const done = new Set<number>()
  let running = 0
  let most = 0
  const jobs = topic.subscribe(GROUP)
  await jobs.run(
    async ({ value }) => {
      most = Math.max(most, ++running)
      for (let index = value % 7; index >= 0; index--) await turn()
      running--
      done.add(value)
      if (done.size === 50) void jobs.close()
    },
    { concurrency: 8 },
  )
  assert.equal(most, 8)
  assert.equal(done.size, 50)
  const { lag, inFlight } = await client.describeGroup('jobs', 'workers')
  assert.deepEqual([lag, inFlight], [0, 0])
})

test('a handler that throws has its record tried again, or rejected with the reason', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 6, { deadLetterTopic: 'failed' })
  const tries: [number, number][] = []
  const jobs = topic.subscribe(GROUP)
  await jobs.run(
    ({ value, deliveryCount }) => {
      tries.push([value, deliveryCount])
      // Six records, one of them three times.
      if (tries.length === 8) void jobs.close()
      if (value === 1 && deliveryCount < 2) throw new Error('not yet')
      if (value === 4) throw new TypeError('never')
    },
    { retryDelayMs: 1, onError: (error) => (error instanceof TypeError ? 'reject' : 'retry') },
  )
  assert.deepEqual(
    tries.filter(([value]) => value === 1),
    [
      [1, 0],
      [1, 1],
      [1, 2],
    ],
  )
  assert.equal(tries.length, 8)
  for await (const { value, headers } of client.topic('failed', { codec: json<number>() }).subscribe()) {
    assert.equal(value, 4)
    const reason = headers.find(({ name }) => name === 'leveret-reason')?.value
    assert.equal(`${reason && Buffer.from(reason)}`, 'never')
    break
  }
})

test('what onError throws stops the run and comes out of it, and the record comes again', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 3)
  const fail = (): never => {
    throw new RangeError('enough')
  }
  await assert.rejects(topic.subscribe(GROUP).run(fail, { onError: fail }), RangeError)
  const again = (await topic.subscribe(GROUP).next()).value
  assert.deepEqual([again?.value, again?.deliveryCount], [0, 1])
})

test('records of a partition are dealt with in order, those of several at the same time', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  await client.createTopic('jobs', { retention: KEEP_FOREVER, partitions: 4 })
  const topic = client.topic('jobs', { codec: json<number>() })
  for (let partition = 0; partition < 4; partition++) {
    await topic.publishAll([0, 1, 2, 3, 4], { partition })
  }
  const seen: number[][] = [[], [], [], []]
  let running = 0
  let most = 0
  let failures = 0
  const jobs = topic.subscribe({ ...GROUP, mode: 'partitioned', onCaughtUp: () => void jobs.close() })
  await jobs.run(
    async ({ partition, value }) => {
      most = Math.max(most, ++running)
      await turn()
      running--
      if (value === 2 && failures < 3) {
        failures++
        throw new Error('again')
      }
      seen[partition]?.push(value)
    },
    { concurrency: 3, retryDelayMs: 1 },
  )
  assert.equal(most, 3)
  assert.equal(failures, 3)
  assert.deepEqual(seen, Array(4).fill([0, 1, 2, 3, 4]))
  const { partitions } = await client.describeGroup('jobs', 'workers')
  assert.deepEqual(
    partitions.map(({ position }) => position),
    [5, 5, 5, 5],
  )
})

test('closing lets handlers finish, and what was not begun goes to others at once', async () => {
  await using broker = await createBroker()
  for (const how of ['close', 'drain', 'abort', 'signal'] as const) {
    const client = await connect({ port: broker.port })
    await using other = await connect({ port: broker.port })
    const topic = await withJobs(client, how === 'close' ? 10 : 0)
    const group = { group: how }
    const stop = new AbortController()
    const given: Parameters<typeof topic.subscribe>[0] = { ...group, window: 4 }
    const jobs = topic.subscribe(how === 'abort' ? { ...given, signal: stop.signal } : given)
    const begun: number[] = []
    let open: () => void = () => {}
    const opened = new Promise<void>((resolve) => {
      open = resolve
    })
    const options = { concurrency: 2, ...(how === 'signal' && { signal: stop.signal }) }
    const running = jobs.run(async ({ value }) => {
      begun.push(value)
      if (begun.length === 2) open()
      await turn()
      await turn()
    }, options)
    await opened
    if (how === 'close') await jobs.close()
    else if (how === 'drain') await client.drain()
    else stop.abort()
    if (how === 'abort') await assert.rejects(running, { code: 'LVT_ABORTED' })
    else await running
    assert.deepEqual(begun, [0, 1])
    const rest = (await other.topic('jobs', { codec: json<number>() }).subscribe(group).next()).value
    assert.equal(rest?.value, 2)
    await client.close()
  }
})

test('the ack wait of a record begins anew while its handler runs, and while it waits for one', async () => {
  const clock = new VirtualClock()
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'subscribe') peer.send(done(frame.id), delivery(frame.subscription, 0, ['0', '1', '2']))
    if (frame.kind === 'commit') peer.send(done(frame.id))
  })
  const client = await connect({ port: server.port, clock, heartbeatMs: 100_000 })
  const jobs = client.topic('t').subscribe({ ...GROUP, ackWaitMs: 900 })
  let finish: () => void = () => {}
  const signals: AbortSignal[] = []
  const running = jobs.run(async ({ signal }) => {
    signals.push(signal)
    await new Promise<void>((resolve) => {
      finish = resolve
    })
  })
  while (signals.length === 0) await turn()
  for (let thirds = 1; thirds <= 6; thirds++) {
    clock.advance(300)
    await server.until(() => server.all('commit').length === thirds)
    await client.ping()
  }
  assert.equal(signals[0]?.aborted, false)
  assert.deepEqual([...new Set(server.all('commit').map(({ outcome }) => outcome))], ['extend'])
  // What waited for its turn is still this member's, and comes next.
  assert.deepEqual(server.all('commit').at(-1)?.offsets.toSorted(), [0, 1, 2])
  for (let done = 1; done <= 3; done++) {
    finish()
    await server.until(() => server.all('commit').length === 6 + done)
    if (done < 3) while (signals.length <= done) await turn()
  }
  const said = server.all('commit').slice(6)
  assert.deepEqual(
    said.map(({ outcome, offsets }) => [outcome, offsets]),
    [
      ['ack', [0]],
      ['ack', [1]],
      ['ack', [2]],
    ],
  )
  await client.close()
  await running
  assert.equal(clock.timers, 0)
})

test('options that cannot be are refused', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 0)
  const refused = { code: 'LVT_INVALID_ARGUMENT' }
  await assert.rejects(
    topic.subscribe({ ...GROUP, window: 4 }).run(() => {}, { concurrency: 5 }),
    refused,
  )
  await assert.rejects(
    topic.subscribe(GROUP).run(() => {}, { concurrency: 0 }),
    refused,
  )
  await assert.rejects(
    topic.subscribe().run(() => {}, { onError: 'reject' }),
    refused,
  )
  const twice = topic.subscribe(GROUP)
  const running = twice.run(() => {})
  await assert.rejects(
    twice.run(() => {}),
    refused,
  )
  await twice.close()
  await running
})

test('what ends the subscription comes out of the run', async () => {
  await using broker = await createBroker()
  await using client = await connect({ port: broker.port })
  const topic = await withJobs(client, 1)
  const jobs = topic.subscribe(GROUP)
  const running = jobs.run(() => client.deleteGroup('jobs', 'workers'))
  await assert.rejects(running, (error: LeveretError) => error.code === 'LVT_GROUP_NOT_FOUND')
})
