/**
 * The life of a group that assigns partitions over a disk that can be cut off at any moment: members that read in order,
 * commit what they did, let go or do not, and an oracle that knows what of it was safe. For
 * test/storage/positioned-crashes.test.ts.
 */
import assert from 'node:assert/strict'
import { toOffset } from '../../src/model/offset.js'
import type { Assignment, JoinHow, PartitionMember, Seat } from '../../src/storage/engine.js'
import type { LocalEngine } from '../../src/storage/local/local-engine.js'
import { batchAt } from './batches.js'
import { EngineDisk, howOf, KEPT } from './engine-disk.js'

const PARTITIONS_MAX = 4
const QUIET_TURNS = 12
const PASS_MS = 500
const VAIN_MAX = 200

/** When the process ends, and how. */
export interface Cut {
  readonly turns: number
  readonly isPowerLoss: boolean
}

/** A partition, as the oracle knows it. */
interface Known {
  end: number
  /** The position is not below: a commit or a seek to it is safe. */
  safe: number
  /** Nor above: nobody asked for more. */
  most: number
  /** Counts seeks: commits from before one say nothing of what is safe after it. */
  seeks: number
  /** Who was told to read it last, from which generation on. */
  reader: Worker | null
  since: number
  /** It was moved, and the reader was not told yet: its commits are of before. */
  isMoved: boolean
  readonly done: Set<number>
  /** Records below a place that an operator has sought. */
  readonly excused: Set<number>
}

/** A member that reads its partitions in order. */
class Worker implements PartitionMember {
  readonly name: string
  seat: Seat | null = null
  generation = 0
  /** By partition: what is to be read next. */
  owned = new Map<number, number>()
  /** Assignments that it has not confirmed. */
  unconfirmed = 0
  readonly #life: PositionedLife

  constructor(name: string, life: PositionedLife) {
    this.name = name
    this.#life = life
  }

  assigned(assignment: Assignment): void {
    this.#life.told(this, assignment)
  }

  ended(): void {
    this.#life.ended(this)
  }
}

export class PositionedLife {
  readonly #disk = new EngineDisk({ segmentBytes: 4_096 })
  readonly #mode: JoinHow['mode']
  #engine: LocalEngine | null = null
  readonly #partitions: Known[] = []
  /** Those with a seat, and those that lost it and may not know. */
  #workers: Worker[] = []
  readonly #ghosts: Worker[] = []
  #told = 0
  #failure: unknown = null
  commits = 0
  fenced = 0

  private constructor(mode: JoinHow['mode']) {
    this.#mode = mode
  }

  static async begin(mode: JoinHow['mode']): Promise<PositionedLife> {
    const life = new PositionedLife(mode)
    await life.#start()
    await life.#open.ensureTopic('topic', { ...KEPT, partitions: 2 })
    for (let partition = 0; partition < 2; partition++) life.#partitions.push(fresh())
    return life
  }

  async publish(pick: number, records: number): Promise<void> {
    const partition = pick % this.#partitions.length
    const known = this.#partitions[partition] as Known
    await this.#open.publish('topic', partition, batchAt(known.end, records), howOf())
    known.end += records
  }

  async join(name: string, takeOver: boolean): Promise<void> {
    const worker = new Worker(name, this)
    const how = { mode: this.#mode, member: name, takeOver, start: { kind: 'earliest' } } as const
    try {
      worker.seat = await this.#open.join('topic', 'g', how, worker)
    } catch (error) {
      const isRefused = (error as { code?: string }).code === 'LVT_GROUP_IN_USE'
      const isTaken = this.#workers.some((other) => other.name !== name)
      assert.ok(isRefused && this.#mode === 'cursor' && !takeOver && isTaken, String(error))
      return
    }
    assert.ok(!this.#workers.some((other) => other.name === name), 'who had the name has gone')
    if (this.#mode === 'cursor') assert.equal(this.#workers.length, 0, 'a cursor has one reader')
    this.#workers.push(worker)
    await this.rest()
  }

  async leave(pick: number): Promise<void> {
    const worker = this.#workers[pick % Math.max(1, this.#workers.length)]
    if (worker === undefined) return
    this.ended(worker)
    worker.seat?.leave()
    await this.rest()
  }

  /** A member reads some of what it has. */
  work(pick: number, records: number): void {
    const worker = this.#workers[pick % Math.max(1, this.#workers.length)]
    for (const [partition, next] of worker?.owned ?? []) {
      const known = this.#partitions[partition] as Known
      const to = Math.min(known.end, next + records)
      for (let offset = next; offset < to; offset++) known.done.add(offset)
      worker?.owned.set(partition, Math.max(to, next))
    }
  }

  /** Somebody says how far it is, by right or not, under the generation it knows, or under none. */
  async commit(pick: number, isNamed: boolean, cut: Cut | null): Promise<void> {
    const everybody = [...this.#workers, ...this.#ghosts.slice(-2)]
    const worker = everybody[pick % Math.max(1, everybody.length)]
    if (worker?.seat == null) return
    const committing = Array.from(worker.owned, ([partition, next]) =>
      this.#commit(worker, worker.seat as Seat, partition, next, isNamed ? worker.generation : 0),
    )
    if (cut === null) await Promise.all(committing)
    else await this.#cut(committing, cut)
  }

  async confirm(pick: number): Promise<void> {
    const worker = this.#workers[pick % Math.max(1, this.#workers.length)]
    if (worker === undefined) return
    worker.unconfirmed = 0
    worker.seat?.confirm(worker.generation)
    await this.rest()
  }

  async seek(pick: number, place: number, cut: Cut | null): Promise<void> {
    const partition = pick % this.#partitions.length
    const known = this.#partitions[partition] as Known
    const offset = place % (known.end + 1)
    const group = await this.#open.group('topic', 'g').catch(() => null)
    if (group === null) return
    for (let skipped = 0; skipped < offset; skipped++) known.excused.add(skipped)
    known.seeks++
    known.safe = Math.min(known.safe, offset)
    known.most = Math.max(known.most, offset)
    const { seeks } = known
    const seeking = this.#open
      .seekGroup('topic', 'g', { kind: 'offset', offset: toOffset(offset) }, partition)
      .then(() => {
        if (known.seeks !== seeks) return
        known.safe = offset
        known.most = offset
        known.isMoved = true
      })
    if (cut === null) await seeking
    else await this.#cut([seeking], cut)
    await this.rest()
  }

  async grow(): Promise<void> {
    if (this.#partitions.length >= PARTITIONS_MAX) return
    this.#partitions.push(fresh())
    await this.#open.changeTopic('topic', { ...KEPT, partitions: this.#partitions.length })
    await this.rest()
  }

  async pass(ms: number): Promise<void> {
    this.#disk.clock.advance(ms)
    await this.rest()
  }

  async kill(isPowerLoss: boolean): Promise<void> {
    const engine = this.#open
    if (isPowerLoss) this.#disk.powerLoss()
    else this.#disk.kill()
    await engine.close().catch(() => undefined)
    for (const worker of [...this.#workers]) this.ended(worker)
    this.#ghosts.splice(0)
    await this.#start()
  }

  /** One diligent member reads what is left, and then there is nothing left. */
  async finish(): Promise<void> {
    while (this.#workers.length > 0) await this.leave(0)
    await this.join('last', true)
    for (let vain = 0; this.#partitions.some(({ safe, end }) => safe < end); vain++) {
      assert.ok(vain < VAIN_MAX, `no progress: ${JSON.stringify(this.#partitions.map(({ safe, end }) => [safe, end]))}`)
      await this.pass(PASS_MS)
      await this.confirm(0)
      this.work(0, 10)
      await this.commit(0, true, null)
    }
    for (const [partition, { end, done, excused }] of this.#partitions.entries()) {
      for (let offset = 0; offset < end; offset++) {
        assert.ok(done.has(offset) || excused.has(offset), `record ${offset} of partition ${partition} was skipped`)
      }
    }
    assert.equal((await this.#open.group('topic', 'g')).lag, 0)
    await this.#open.close()
  }

  /** Called by the engine, which would not pass on what is thrown: it is kept for the next step. */
  told(worker: Worker, assignment: Assignment): void {
    try {
      this.#assign(worker, assignment)
    } catch (error) {
      this.#failure ??= error
    }
  }

  ended(worker: Worker): void {
    this.#workers = this.#workers.filter((other) => other !== worker)
    this.#ghosts.push(worker)
  }

  /** Reads and writes of the disk come to rest. */
  async rest(): Promise<void> {
    for (let quiet = 0, before = this.#told; quiet < QUIET_TURNS; quiet++) {
      await new Promise(setImmediate)
      if (this.#told !== before) quiet = 0
      before = this.#told
    }
    if (this.#failure !== null) throw this.#failure
  }

  #assign(worker: Worker, { generation, partitions }: Assignment): void {
    assert.ok(worker.seat !== null, 'a member has its seat before it is told anything')
    assert.ok(this.#workers.includes(worker), 'who is gone is told nothing')
    assert.ok(generation > worker.generation, `generation ${generation} after ${worker.generation}`)
    const owned = new Map<number, number>()
    for (const { partition, from } of partitions) {
      const known = this.#partitions[partition] as Known
      if (from === null) {
        const next = worker.owned.get(partition)
        assert.ok(next !== undefined && known.reader === worker, `${worker.name} goes on in ${partition}`)
        owned.set(partition, next)
        continue
      }
      assert.ok(generation > known.since, `partition ${partition} is given in ${generation} as in ${known.since}`)
      assert.ok(from >= known.safe, `partition ${partition} is read from ${from}, and ${known.safe} was safe`)
      assert.ok(from <= known.most, `partition ${partition} is read from ${from}, and nobody came beyond ${known.most}`)
      known.reader = worker
      known.since = generation
      known.isMoved = false
      owned.set(partition, from)
    }
    worker.generation = generation
    worker.owned = owned
    worker.unconfirmed++
    this.#told++
  }

  async #commit(worker: Worker, seat: Seat, partition: number, position: number, generation: number): Promise<void> {
    const known = this.#partitions[partition] as Known
    const mustFence = !this.#workers.includes(worker) || known.reader !== worker || known.isMoved
    const { seeks } = known
    if (!mustFence) known.most = Math.max(known.most, position)
    try {
      await seat.commit(partition, toOffset(position), generation)
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === 'LVT_FENCED') this.fenced++
      else
        assert.ok(
          ['LVT_CLOSED', 'LVT_IN_DOUBT', 'LVT_UNAVAILABLE', 'LVT_READ_ONLY'].includes(String(code)),
          String(error),
        )
      return
    }
    this.commits++
    assert.ok(!mustFence, `${worker.name} committed in partition ${partition}, which it has not`)
    if (seeks === known.seeks) known.safe = Math.max(known.safe, position)
  }

  async #cut(asked: readonly Promise<unknown>[], { turns, isPowerLoss }: Cut): Promise<void> {
    const settled = Promise.allSettled(asked)
    for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
    await this.kill(isPowerLoss)
    for (const one of await settled) {
      if (one.status === 'rejected' && one.reason instanceof assert.AssertionError) throw one.reason
    }
  }

  async #start(): Promise<void> {
    this.#engine = await this.#disk.open()
  }

  get #open(): LocalEngine {
    assert.ok(this.#engine !== null)
    return this.#engine
  }
}

function fresh(): Known {
  const nothing = { end: 0, safe: 0, most: 0, seeks: 0, reader: null, since: 0, isMoved: false }
  return { ...nothing, done: new Set(), excused: new Set() }
}
