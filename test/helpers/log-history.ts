/**
 * What was asked of one partition and what came of it, so that the log can be held to it after a crash: the oracle of
 * the simulations. Knows nothing of files; it is told of appends, acknowledgements and trims, and then shown the log.
 */
import assert from 'node:assert/strict'
import { toOffset } from '../../src/model/offset.js'
import type { Durability } from '../../src/model/topic.js'
import type { PartitionLog } from '../../src/storage/store.js'

/** What ended the lives since the log was looked at the last time; the worst of them. */
export type Ending = 'closed' | 'killed' | 'power-loss'

export interface Entry {
  readonly base: number
  readonly count: number
  readonly body: Buffer
  readonly producer: { readonly name: string; readonly sequence: number } | null
  timestampMs: number
  /** The level that was acknowledged, if any was. */
  acked: Durability | null
  /** Seen in the log after a restart: it is there for good. */
  isFixed: boolean
}

interface Range {
  readonly from: number
  readonly to: number
}

export class PartitionHistory {
  /** The most that was ever given. */
  end = 0
  /** In the order of the calls; those that were refused are taken out. */
  entries: Entry[] = []
  /** Everything below has been on the device. */
  syncedEnd = 0
  /** The log start cannot be lower, and unless `isLimited` not higher than the second. */
  trimmed = 0
  trimWanted = 0
  /** Retention may have moved the log start. */
  isLimited = false
  /** Below it offsets were given out while the topic kept nothing: what stood there may be gone. */
  passedEnd = 0
  hasPassed = false
  /** Offsets that were lost before they were safe, and that readers are told of. */
  lost: Range[] = []
  #byBase = new Map<number, Entry[]>()

  asked(entry: Entry): void {
    this.end = Math.max(this.end, entry.base + entry.count)
    this.entries.push(entry)
    const others = this.#byBase.get(entry.base)
    if (others === undefined) this.#byBase.set(entry.base, [entry])
    else others.push(entry)
  }

  acknowledged(entry: Entry, level: Durability): void {
    entry.acked = level
    if (level === 'disk') this.synced(entry.base + entry.count)
  }

  /** It did not happen: the offsets may be given again. */
  refused(entry: Entry): void {
    this.entries = this.entries.filter((other) => other !== entry)
    this.#byBase.set(entry.base, this.#byBase.get(entry.base)?.filter((other) => other !== entry) ?? [])
  }

  synced(end: number): void {
    this.syncedEnd = Math.max(this.syncedEnd, end)
  }

  passed(end: number): void {
    this.hasPassed = true
    this.passedEnd = Math.max(this.passedEnd, end)
  }

  /** What a read brought is what was appended there; null for what was dropped when the topic kept nothing, and came back. */
  matchBatch(base: number, body: Buffer): Entry | null {
    const found = this.#byBase.get(base)?.find((entry) => entry.body.equals(body))
    if (found === undefined && base < this.passedEnd) return null
    assert.ok(found !== undefined, `offset ${base} holds a batch that was never appended there`)
    return found
  }

  matchLoss(from: number, to: number): void {
    if (from < this.passedEnd) return
    const isKnown = this.lost.some((range) => range.from <= from && to <= range.to)
    assert.ok(isKnown, `offsets ${from} to ${to - 1} are said to be lost, and were not: ${JSON.stringify(this.lost)}`)
  }

  /** Read all that is kept after a restart and hold it to what was asked. From then on that is what there is. */
  async verify(log: PartitionLog, ending: Ending): Promise<void> {
    const { logStart, end } = log
    if (end < this.syncedEnd) assert.fail(`the log ends at ${end}, and ${this.syncedEnd} was synced`)
    if (!this.hasPassed)
      assert.ok(end <= this.end, `the log ends at ${end}, and ${this.end} is the most that was given`)
    assert.ok(logStart >= this.trimmed, `the log starts at ${logStart}, and was trimmed to ${this.trimmed}`)
    if (!this.isLimited && !this.hasPassed) {
      assert.ok(logStart <= this.trimWanted, `the log starts at ${logStart}, and nobody asked for that`)
    }
    const { present, lost } = await this.#readAll(log)
    this.#checkMissing(present, lost, log, ending)
    this.entries = this.entries.filter((entry) => present.has(entry))
    for (const entry of this.entries) entry.isFixed = true
    this.#byBase = new Map(this.entries.map((entry) => [entry.base, [entry]]))
    this.lost = lost
    // Offsets that were given out without a record are written down, and not more than that.
    if (!this.hasPassed) this.synced(end)
    for (const { base, count } of this.entries) this.synced(base + count)
  }

  async #readAll(log: PartitionLog): Promise<{ present: Set<Entry>; lost: Range[] }> {
    const present = new Set<Entry>()
    const lost: Range[] = []
    const { end } = log
    let next = log.logStart
    let timestampMs = 0
    assert.equal(log.stableEnd, end, 'after a restart all that is there is stable')
    while (next < end) {
      const result = await log.read(next, 4_000)
      assert.ok(result.next > next, `a read at ${next} of ${end} brought nothing`)
      if (result.loss !== null) {
        assert.deepEqual([result.loss.from, result.loss.to], [next, result.next])
        lost.push(result.loss)
      }
      for (const { baseOffset, count, body, timestampMs: time } of result.batches) {
        assert.ok(baseOffset <= next, `offsets ${next} to ${baseOffset - 1} are missing without a word`)
        const entry = this.matchBatch(baseOffset, body)
        if (entry !== null) assert.equal(time, entry.timestampMs)
        assert.ok(time >= timestampMs, `time goes back at offset ${baseOffset}`)
        timestampMs = time
        if (entry !== null) present.add(entry)
        next = toOffset(baseOffset + count)
      }
      assert.ok(next <= result.next)
      next = result.next
    }
    assert.ok(log.lastTimestampMs >= timestampMs, 'the next timestamp may be lower than the last one')
    return { present, lost }
  }

  #checkMissing(present: ReadonlySet<Entry>, lost: readonly Range[], log: PartitionLog, ending: Ending): void {
    let hasLost = false
    for (const entry of this.entries) {
      const { base, count, acked } = entry
      const end = base + count
      if (present.has(entry)) {
        if (ending === 'killed') assert.ok(!hasLost, `offset ${base} outlived an earlier one that was lost`)
        continue
      }
      if (end <= log.logStart || base < this.passedEnd) continue
      const what = `offsets ${base} to ${end - 1}, acknowledged at level ${acked}, are missing`
      assert.ok(base >= this.syncedEnd, `${what}, and were synced`)
      assert.ok(ending === 'power-loss' || (ending === 'killed' && acked !== 'os'), `${what} after: ${ending}`)
      hasLost = true
    }
    for (const { from, to } of lost) {
      if (from < this.passedEnd) continue
      const isNew = !this.lost.some((range) => range.from <= from && to <= range.to)
      if (!isNew) continue
      assert.ok(from >= this.syncedEnd, `offsets ${from} to ${to - 1} are damaged, and were synced`)
      assert.equal(ending, 'power-loss', `offsets ${from} to ${to - 1} are damaged without a loss of power`)
    }
  }
}
