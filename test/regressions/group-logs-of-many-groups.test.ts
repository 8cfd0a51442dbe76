/**
 * A group log was begun anew in one batch, however much there was to know: beyond the limit of a batch it could not be read
 * again, and beyond that of a string nothing was ever written any more.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toOffset } from '../../src/model/offset.js'
import type { GroupFact } from '../../src/storage/local/group-facts.js'
import { type FactSource, GroupLog } from '../../src/storage/local/group-log.js'
import { MemoryPartitionLog } from '../../src/storage/memory/memory-partition-log.js'
import { VirtualClock } from '../helpers/virtual-clock.js'

const SEAMS = { clock: new VirtualClock(), durability: 'memory', grownBytesMin: 200 } as const
const GROUPS = 2_000
const REASON = 'x'.repeat(2_000)

class Source implements FactSource {
  readonly group: string
  readonly partition = 0
  hasNews = true

  constructor(group: string) {
    this.group = group
  }

  news(): GroupFact[] {
    this.hasNews = false
    return this.everything()
  }

  everything(): GroupFact[] {
    return [
      { kind: 'seek', offset: toOffset(0) },
      { kind: 'rejected', offset: toOffset(0), reason: REASON },
    ]
  }
}

class MeasuredLog extends MemoryPartitionLog {
  largest = 0

  override append(...[batch, how]: Parameters<MemoryPartitionLog['append']>) {
    this.largest = Math.max(this.largest, batch.body.length)
    return super.append(batch, how)
  }
}

test('a log is begun anew in batches of a size that can be read', async () => {
  const log = new MeasuredLog()
  const sources = Array.from({ length: GROUPS }, (_, index) => new Source(`group ${index}`))
  const groupLog = new GroupLog(log, SEAMS, () => sources)
  await Promise.all(sources.map((source) => groupLog.commit(source)))
  const [first] = sources
  assert.ok(first !== undefined)
  first.hasNews = true
  await groupLog.commit(first)
  await groupLog.idle()
  assert.ok(log.logStart > 0, 'it was begun anew')
  assert.ok(log.largest < 2 ** 21, `a batch has ${log.largest} bytes`)
  const lines = await new GroupLog(log, SEAMS, () => []).read()
  assert.equal(new Set(lines.map(({ group }) => group)).size, GROUPS)
})
