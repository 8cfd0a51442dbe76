/**
 * A partition that was taken away is another's after ten seconds. Whoever was still at a record of it was not told: the signal
 * of the record did not abort, and a handler that failed was called again for ever.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from '../../client/index.js'
import type { ServerFrame } from '../../src/protocol/frames.js'
import { delivery, done, FakeServer } from '../helpers/fake-server.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const GROUP = { group: 'readers', mode: 'partitioned' } as const

function assigned(generation: number, partitions: number[], started: number[]): ServerFrame {
  return { kind: 'assigned', id: 0, subscription: 1, generation, partitions, started }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function startServer(): Promise<FakeServer> {
  return FakeServer.start((frame, peer) => {
    if (frame.kind === 'subscribe') {
      peer.send(done(frame.id), assigned(1, [0, 1], [0, 1]), delivery(frame.subscription, 0, ['a'], { partition: 1 }))
    } else if (frame.kind === 'commit' && frame.id !== 0) peer.send(done(frame.id))
  })
}

test('the signal of a record aborts when its partition is given to another', async () => {
  const clock = new VirtualClock()
  await using server = await startServer()
  const client = await connect({ port: server.port, clock, heartbeatMs: 100_000 })
  const reader = client.topic('t').subscribe(GROUP)
  const { value: record } = await reader.next()
  const signal = record?.signal
  server.peer.send(assigned(2, [0], []))
  await client.ping()
  clock.advance(9_000)
  assert.equal(signal?.aborted, false)
  clock.advance(1_000)
  assert.equal(signal?.aborted, true)
  await server.until(() => server.all('commit').some(({ generation, offset }) => generation === 2 && offset === null))
  await client.close()
})

test('the signal of a record aborts when its partition comes back meanwhile, to be read anew', async () => {
  const clock = new VirtualClock()
  await using server = await startServer()
  const client = await connect({ port: server.port, clock, heartbeatMs: 100_000 })
  const reader = client.topic('t').subscribe(GROUP)
  const { value: record } = await reader.next()
  const signal = record?.signal
  server.peer.send(assigned(2, [0], []), assigned(3, [0, 1], [1]))
  await client.ping()
  assert.equal(signal?.aborted, true)
  await client.close()
})

test('a handler that fails is not called again for a record that is another member’s', async () => {
  const clock = new VirtualClock()
  await using server = await startServer()
  const client = await connect({ port: server.port, clock, heartbeatMs: 100_000 })
  const reader = client.topic('t').subscribe(GROUP)
  let calls = 0
  const running = reader.run(
    () => {
      calls++
      throw new Error('not yet')
    },
    { retryDelayMs: 1_000 },
  )
  while (calls === 0) await turn()
  server.peer.send(assigned(2, [0], []))
  await client.ping()
  for (let second = 0; second < 20; second++) {
    clock.advance(1_000)
    await turn()
  }
  assert.ok(calls <= 11, `it was called ${calls} times`)
  await client.close()
  await running.catch(() => undefined)
})
