/** What is said of the records of a shared group, and what becomes of those who wait for the answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Client, connect, type LeveretError, type ReceivedRecord, text } from '../../client/index.js'
import { delivery, done, FakeServer, failure } from '../helpers/fake-server.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const GROUP = { group: 'g', manualCommit: true } as const

/** A server that delivers records 0 to 5 at once; the test answers the Commits. */
function startServer(): Promise<FakeServer> {
  return FakeServer.start((frame, peer) => {
    if (frame.kind !== 'subscribe') return
    peer.send(done(frame.id), delivery(frame.subscription, 0, ['0', '1', '2', '3', '4', '5']))
  })
}

async function take(client: Client, count: number, options = {}): Promise<ReceivedRecord<string>[]> {
  const records = client.topic('t', { codec: text() }).subscribe({ ...GROUP, ...options })
  const taken: ReceivedRecord<string>[] = []
  while (taken.length < count) {
    const { value } = await records.next()
    if (value !== undefined) taken.push(value)
  }
  return taken
}

const codeOf = (promise: Promise<void> | undefined): Promise<string> =>
  (promise ?? Promise.resolve()).then(
    () => 'done',
    (error: LeveretError) => error.code,
  )

test('what is said in one turn is one frame for each partition and outcome', async () => {
  await using server = await startServer()
  await using client = await connect({ port: server.port })
  const [a, b, c, d, e] = await take(client, 5)
  const answers = [a?.ack(), b?.ack(), c?.reject('bad'), d?.retry({ delayMs: 7 }), e?.ack()].map(codeOf)
  await server.until(() => server.all('commit').length === 3)
  const said = server.all('commit')
  assert.deepEqual(
    said.map(({ offset, offsets, outcome, delayMs, reason }) => [offset, offsets, outcome, delayMs, reason]),
    [
      [null, [0, 1, 4], 'ack', 0, ''],
      [null, [2], 'reject', 0, 'bad'],
      [null, [3], 'retry', 7, ''],
    ],
  )
  for (const { id } of said) server.peer.send(done(id))
  assert.deepEqual(await Promise.all(answers), ['done', 'done', 'done', 'done', 'done'])
})

test('each of those who wait gets the truth about its own record', async () => {
  await using server = await startServer()
  await using client = await connect({ port: server.port })
  const taken = await take(client, 4)
  const answers = taken.map((record) => codeOf(record.ack()))
  await server.until(() => server.all('commit').length === 1)
  const id = server.all('commit')[0]?.id ?? 0
  server.peer.send({ ...failure(id, 'LVT_LEASE_LOST'), offsets: [1, 3] } as ReturnType<typeof failure>)
  assert.deepEqual(await Promise.all(answers), ['done', 'LVT_LEASE_LOST', 'done', 'LVT_LEASE_LOST'])
})

test('a failure that names no record is that of all, and one that nobody awaits harms nobody', async () => {
  await using server = await startServer()
  await using client = await connect({ port: server.port })
  const taken = await take(client, 3)
  void taken[0]?.ack()
  const answers = taken.slice(1).map((record) => codeOf(record.ack()))
  await server.until(() => server.all('commit').length === 1)
  server.peer.send(failure(server.all('commit')[0]?.id ?? 0, 'LVT_UNAVAILABLE', true))
  assert.deepEqual(await Promise.all(answers), ['LVT_UNAVAILABLE', 'LVT_UNAVAILABLE'])
})

test('a connection that is lost before the answer leaves nobody waiting', async () => {
  await using server = await startServer()
  await using client = await connect({ port: server.port, reconnect: { minDelayMs: 1 } })
  const taken = await take(client, 2)
  const answers = taken.map((record) => codeOf(record.ack()))
  await server.until(() => server.all('commit').length === 1)
  server.peer.cut()
  assert.deepEqual(await Promise.all(answers), ['LVT_IN_DOUBT', 'LVT_IN_DOUBT'])
})

test('an answer that never comes is a timeout', async () => {
  const clock = new VirtualClock()
  await using server = await startServer()
  const client = await connect({ port: server.port, clock, requestTimeoutMs: 500, heartbeatMs: 100_000 })
  const taken = await take(client, 1)
  const answer = codeOf(taken[0]?.ack())
  await server.until(() => server.all('commit').length === 1)
  clock.advance(501)
  assert.equal(await answer, 'LVT_TIMEOUT')
  await client.close()
  assert.equal(clock.timers, 0)
})

test('what cannot be said is refused before it is sent', async () => {
  await using server = await startServer()
  await using client = await connect({ port: server.port })
  const [record] = await take(client, 1)
  await assert.rejects(async () => record?.retry({ delayMs: -1 }), { code: 'LVT_INVALID_ARGUMENT' })
  await assert.rejects(async () => record?.retry({ delayMs: 0.5 }), { code: 'LVT_INVALID_ARGUMENT' })
})

test('the signal of a record aborts when its ack wait is over, a little before the server thinks so', async () => {
  const clock = new VirtualClock()
  await using server = await startServer()
  const client = await connect({ port: server.port, clock, heartbeatMs: 100_000 })
  const [first, second, third, fourth] = await take(client, 4, { ackWaitMs: 1_000 })
  const signals = [first?.signal, second?.signal, third?.signal]
  assert.equal(first?.signal, signals[0])
  clock.advance(600)
  const extended = second?.extend()
  const acked = third?.ack()
  await server.until(() => server.all('commit').length === 2)
  for (const { id } of server.all('commit')) server.peer.send(done(id))
  await Promise.all([extended, acked])
  clock.advance(400)
  const aborted = (): (boolean | undefined)[] => [...signals, fourth?.signal].map((signal) => signal?.aborted)
  assert.deepEqual(aborted(), [true, false, false, true])
  assert.equal((signals[0]?.reason as LeveretError | undefined)?.code, 'LVT_LEASE_LOST')
  clock.advance(600)
  assert.deepEqual(aborted(), [true, true, false, true])
  await client.close()
  assert.equal(clock.timers, 0)
})

test('the signals of records abort when the connection is lost, or the subscription is closed', async () => {
  await using server = await startServer()
  await using client = await connect({ port: server.port, reconnect: { minDelayMs: 1 } })
  const [record] = await take(client, 1)
  const signal = record?.signal
  assert.equal(signal?.aborted, false)
  const aborted = new Promise((resolve) => signal?.addEventListener('abort', resolve))
  server.peer.cut()
  await aborted
  assert.equal(record?.signal.aborted, true)
  const records = client.topic('t').subscribe(GROUP)
  const held = (await records.next()).value?.signal
  assert.equal(held?.aborted, false)
  await records.close()
  assert.equal(held?.aborted, true)
})
