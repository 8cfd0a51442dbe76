/** Settings of a topic changed while it is in use: limits, rings, windows, and partitions that are added. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { KEEP_FOREVER } from '../../src/model/topic.js'
import { KEPT, payloadsIn, WireClient } from '../helpers/wire-client.js'

const STORES = { memory: false, log: true } as const

for (const [store, isOnDisk] of Object.entries(STORES)) {
  test(`${store}: a subscriber gets the partitions that are added, each from its first record`, async () => {
    const data = mkdtempSync(join(tmpdir(), 'leveret-settings-'))
    const options = isOnDisk ? { data } : {}
    const broker = await createBroker(options)
    const client = await WireClient.connect(broker)
    await client.create('topic', KEPT)
    await client.publish('topic', ['a'])
    await client.subscribe('topic', { window: 100 })
    assert.deepEqual(payloadsIn(await client.expect('delivery')), ['a'])
    await broker.changeTopic('topic', { partitions: 3 })
    for (const partition of [2, 1, 0]) {
      await client.publish('topic', [`to ${partition}`], { partition })
      const delivery = await client.expect('delivery')
      assert.deepEqual([delivery.partition, payloadsIn(delivery)], [partition, [`to ${partition}`]])
      assert.equal(delivery.baseOffset, partition === 0 ? 1 : 0)
    }
    await assert.rejects(broker.changeTopic('topic', { partitions: 2 }), { code: 'LVT_INVALID_ARGUMENT' })
    await assert.rejects(broker.changeTopic('other', { partitions: 2 }), { code: 'LVT_TOPIC_NOT_FOUND' })
    client.destroy()
    await broker.stop()
    if (isOnDisk) {
      await using again = await createBroker({ data })
      const other = await WireClient.connect(again)
      await other.subscribe('topic', { window: 100 })
      const found: string[] = []
      while (found.length < 4) found.push(...payloadsIn(await other.expect('delivery')))
      assert.deepEqual(found.sort(), ['a', 'to 0', 'to 1', 'to 2'])
      other.destroy()
    }
    rmSync(data, { recursive: true })
  })

  test(`${store}: retention that is changed holds for what is stored already, and what is dropped stays dropped`, async () => {
    const data = mkdtempSync(join(tmpdir(), 'leveret-settings-'))
    const broker = await createBroker(isOnDisk ? { data } : {})
    const client = await WireClient.connect(broker)
    await client.create('topic', { ...KEPT, ringRecords: 1 })
    for (const payload of ['a', 'b', 'c', 'd']) await client.publish('topic', [payload])
    await broker.changeTopic('topic', { retention: { ...KEEP_FOREVER, records: 2 } })
    await broker.changeTopic('topic', { retention: KEEP_FOREVER })
    await client.publish('topic', ['e'])
    await client.subscribe('topic', { window: 100 })
    const payloads: string[] = []
    while (payloads.length < 3) payloads.push(...payloadsIn(await client.expect('delivery')))
    assert.deepEqual(payloads, ['c', 'd', 'e'])
    client.destroy()
    await broker.stop()
    rmSync(data, { recursive: true })
  })

  test(`${store}: a topic that keeps nothing begins to keep, and its offsets go on`, async () => {
    const data = mkdtempSync(join(tmpdir(), 'leveret-settings-'))
    const broker = await createBroker(isOnDisk ? { data } : {})
    const client = await WireClient.connect(broker)
    await client.publish('topic', ['gone', 'too'])
    await broker.changeTopic('topic', { retention: KEEP_FOREVER, ringRecords: 1 })
    assert.equal((await client.publish('topic', ['kept'])).baseOffset, 2)
    assert.equal((await client.publish('topic', ['kept too'])).baseOffset, 3)
    await client.subscribe('topic', { window: 100 })
    const payloads: string[] = []
    while (payloads.length < 2) payloads.push(...payloadsIn(await client.expect('delivery')))
    assert.deepEqual(payloads, ['kept', 'kept too'])
    await broker.changeTopic('topic', { retention: 'none' })
    assert.equal((await client.publish('topic', ['live'])).baseOffset, 4)
    client.destroy()
    await broker.stop()
    rmSync(data, { recursive: true })
  })
}
