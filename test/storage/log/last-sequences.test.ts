/** What is kept of the sequences in a log is all that an engine asks for, and no more than that. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toOffset } from '../../../src/model/offset.js'
import { ProducerTable, SEQUENCES_REMEMBERED } from '../../../src/storage/local/producer-table.js'
import { LastSequences } from '../../../src/storage/log/last-sequences.js'
import type { ProducedBatch } from '../../../src/storage/store.js'
import { SEQUENCES_KEPT } from '../../../src/storage/store.js'
import { batchAt } from '../../helpers/batches.js'
import { EngineDisk, howOf, KEPT } from '../../helpers/engine-disk.js'
import { fc } from '../../helpers/fast-check.js'

const batch = (producer: string, sequence: number, offset: number): ProducedBatch => {
  return { producer, sequence, baseOffset: toOffset(offset), timestampMs: 0 }
}

async function answer(table: ProducerTable, producer: string, sequence: number): Promise<number | 'new' | 'too old'> {
  try {
    return (await table.find(producer, sequence))?.baseOffset ?? 'new'
  } catch {
    return 'too old'
  }
}

test('an engine answers the last sequences as if it were given all that there are', async () => {
  assert.equal(SEQUENCES_KEPT, SEQUENCES_REMEMBERED)
  const arbStep = fc.record({ producer: fc.constantFrom('a', 'b', 'c'), ahead: fc.integer({ min: -70, max: 90 }) })
  await fc.assert(
    fc.asyncProperty(fc.array(arbStep, { maxLength: 600 }), async (steps) => {
      const last = new LastSequences()
      const [given, kept] = [new ProducerTable(8), new ProducerTable(8)]
      const highest = new Map<string, number>()
      for (const [offset, { producer, ahead }] of steps.entries()) {
        const newest = highest.get(producer) ?? 0
        const sequence = Math.max(0, newest + ahead)
        // As it is refused, nothing of it is in the log.
        if ((await answer(given, producer, sequence)) === 'too old') continue
        highest.set(producer, Math.max(newest, sequence))
        last.note(batch(producer, sequence, offset))
        given.restore(batch(producer, sequence, offset), 'disk')
      }
      for (const produced of last.all) kept.restore(produced, 'disk')
      for (const [producer, newest] of highest) {
        for (let sequence = newest - SEQUENCES_KEPT + 1; sequence <= newest + 1; sequence++) {
          assert.equal(await answer(kept, producer, sequence), await answer(given, producer, sequence))
        }
      }
      assert.ok(last.all.length <= highest.size * SEQUENCES_KEPT)
    }),
    { numRuns: 100 },
  )
})

test('after a kill no more sequences are kept than are asked for, however many batches there are', async () => {
  const disk = new EngineDisk()
  const first = await disk.open()
  await first.ensureTopic('orders', KEPT)
  const many = Array.from({ length: 1_000 }, (_, sequence) => sequence)
  await Promise.all(many.map((sequence) => first.publish('orders', 0, batchAt(sequence, 1), howOf('p', sequence))))
  disk.kill()

  const store = disk.store()
  const second = await disk.open(store)
  const produced = await (await store.partition('orders', 0)).produced()
  assert.deepEqual(
    produced.map(({ sequence }) => sequence),
    many.slice(-SEQUENCES_KEPT),
  )
  const again = await second.publish('orders', 0, batchAt(999, 1), howOf('p', 999))
  assert.deepEqual([again.baseOffset, again.replayed], [999, true])
  await second.close()
})
