/** The topic in which a gateway keeps its own state: what is found again, in which order, and how much of the disk it takes. */
import assert from 'node:assert/strict'
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Broker } from '../../src/broker/broker.js'
import { UnavailableError } from '../../src/common/errors.js'
import { SteadyTime } from '../../src/common/steady-time.js'
import { configWith } from '../../src/config/load.js'
import { type StateChange, StateTopic } from '../../src/gateways/state-topic.js'
import { MetricsRegistry } from '../../src/metrics/registry.js'
import { DEFAULT_TOPIC_SETTINGS } from '../../src/model/topic.js'
import { LocalEngine } from '../../src/storage/local/local-engine.js'
import { MemoryStore } from '../../src/storage/memory/memory-store.js'
import type { Store } from '../../src/storage/store.js'
import { LogPlace } from '../helpers/log-place.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const NAME = 'some.state'

/** A broker over `store` until the end of `life`. */
async function living<T>(store: Store, life: (broker: Broker, state: StateTopic) => Promise<T>): Promise<T> {
  const clock = new VirtualClock()
  const time = new SteadyTime(clock)
  const engine = new LocalEngine(store, { clock: time, producersMax: 10 })
  const limits = { ...configWith({}), topicDefaults: DEFAULT_TOPIC_SETTINGS }
  const broker = new Broker(engine, time, limits, new MetricsRegistry())
  await broker.start()
  try {
    return await life(
      broker,
      new StateTopic({ broker, clock, name: NAME, otherwise: { records: 10, bytes: null, ageMs: null } }),
    )
  } finally {
    await broker.stop({ deadlineMs: 1_000 })
  }
}

function change(key: string, value: string | null): StateChange {
  return { key, value: value === null ? null : Buffer.from(value) }
}

function shown(values: ReadonlyMap<string, Buffer>): Record<string, string> {
  return Object.fromEntries([...values].map(([key, value]) => [key, value.toString('latin1')]))
}

test('finds the newest value of each key again, and nothing of what was removed', async (t) => {
  const place = await LogPlace.temporary()
  t.after(() => place.remove())
  await living(place.store(), async (broker, state) => {
    assert.equal((await state.open()).size, 0)
    await state.write([change('never', null)])
    assert.equal(broker.topicSettings(NAME), null, 'nothing was to be kept')
    await state.write([change('a', '1'), change('b', '\u00ff\u0000'.repeat(200)), change('ä/ö', 'x')])
    await state.write([change('a', '2'), change('c', '3')], 'os')
    await state.write([change('c', null), change('a', '4'), change('unknown', null)], 'memory')
    const { partitions } = await broker.describeTopic(NAME)
    assert.equal(partitions[0]?.end, 7, 'what is not there is not removed')
  })
  await living(place.store(), async (_, state) => {
    const values = shown(await state.open())
    assert.deepEqual(values, { a: '4', b: Buffer.from('\u00ff\u0000'.repeat(200)).toString('latin1'), 'ä/ö': 'x' })
    await state.write([change('b', null)])
  })
  await living(place.store(), async (_, state) => {
    assert.deepEqual(Object.keys(shown(await state.open())), ['a', 'ä/ö'])
  })
})

test('keeps the order of the calls, also while the topic is being made', async (t) => {
  const place = await LogPlace.temporary()
  t.after(() => place.remove())
  await living(place.store(), async (broker, state) => {
    await state.open()
    const writes: Promise<void>[] = []
    for (let round = 0; round < 50; round++) {
      // Some while nothing is there yet, some when it has just been made.
      if (round % 7 === 0) await broker.turn.next()
      writes.push(state.write([change('a', String(round)), change(`k${round}`, 'x')], round % 2 === 0 ? 'disk' : null))
    }
    await Promise.all(writes)
  })
  await living(place.store(), async (_, state) => {
    const values = shown(await state.open())
    assert.equal(values['a'], '49')
    assert.equal(Object.keys(values).length, 51)
  })
})

test('takes a removal that failed for one that is still to be made', async () => {
  await living(new MemoryStore(), async (broker, state) => {
    await state.open()
    await state.write([change('a', '1')])
    const publish = broker.publish
    broker.publish = () => {
      throw new Error('not now')
    }
    await assert.rejects(state.write([change('a', null)]), /not now/)
    broker.publish = publish
    await state.write([change('a', null)])
    assert.deepEqual(shown(await state.open()), {})
  })
})

test('keeps a bounded number of values in a store that cannot drop old ones alone', async () => {
  await living(new MemoryStore(), async (broker, state) => {
    await state.open()
    for (let round = 0; round < 100; round++) await state.write([change('a', String(round))], 'memory')
    await broker.tidy()
    const { partitions } = await broker.describeTopic(NAME)
    assert.ok((partitions[0]?.logStart ?? 0) >= 90)
  })
})

test('takes a few files of the disk, however often a key is written', async (t) => {
  const segmentBytes = 128 * 1024
  const place = await LogPlace.temporary({ segmentBytes })
  t.after(() => place.remove())
  let mostBytes = 0
  const store = place.store()
  await living(store, async (_, state) => {
    await state.open()
    await state.write([change('rare', 'kept')])
    for (let round = 0; round < 40; round++) {
      const writes: Promise<void>[] = []
      for (let turn = 0; turn < 50; turn++) {
        const keys = Array.from({ length: 20 }, (_, key) =>
          change(`pos/${key}/foo`, `${round} ${turn} ${'.'.repeat(30)}`),
        )
        writes.push(state.write(keys, 'os'))
      }
      await Promise.all(writes)
      // Every ten seconds by itself.
      if (round % 4 === 0) await store.compact()
      mostBytes = Math.max(mostBytes, bytesOf(place.data))
    }
  })
  assert.ok(mostBytes < 6 * segmentBytes, `${mostBytes} bytes`)
  await living(place.store(), async (_, state) => {
    const values = shown(await state.open())
    assert.equal(values['rare'], 'kept')
    assert.ok(values['pos/7/foo']?.startsWith('39 49'))
  })
})

function bytesOf(folder: string): number {
  let bytes = 0
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    bytes += entry.isDirectory() ? bytesOf(path) : (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512
  }
  return bytes
}

test('what could not be removed goes with the next write, unless it is there again', async () => {
  await living(new MemoryStore(), async (broker, state) => {
    await state.write([change('a', '1'), change('b', '1'), change('c', '1')])
    const { publish } = broker
    broker.publish = (topic, _partition, _run, _how, sink, token) =>
      sink.publishFailed(token, topic, new UnavailableError('the disk is full'))
    const removed = state.write([change('a', null), change('b', null)])
    const again = state.write([change('b', '2')])
    await assert.rejects(removed, /full/)
    await assert.rejects(again, /full/)
    broker.publish = publish
    await state.write([change('b', '3')])
    const other = new StateTopic({ broker, clock: new VirtualClock(), name: NAME })
    assert.deepEqual(shown(await other.open()), { b: '3', c: '1' })
  })
})
