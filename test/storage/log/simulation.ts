/**
 * Lives of a log store on a file system that fails: a random workload, a crash at a random call or a clean close, the
 * files opened again by the next life, and everything that was promised before looked for. All from one seed.
 */
import assert from 'node:assert/strict'
import { SteadyTime } from '../../../src/common/steady-time.js'
import { LocalEngine } from '../../../src/storage/local/local-engine.js'
import { LogStore } from '../../../src/storage/log/log-store.js'
import { encodeLine, lineAt } from '../../../src/storage/log/sealed-lines.js'
import { Crash } from '../../helpers/faulty-errors.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import type { FaultOptions } from '../../helpers/faulty-machine.js'
import { below, chance, SeededRandom } from '../../helpers/faulty-random.js'
import type { Ending } from '../../helpers/log-history.js'
import { LOG_DEFAULTS, logSeams } from '../../helpers/log-place.js'
import { VirtualClock } from '../../helpers/virtual-clock.js'
import type { Life, Tally } from './simulation-life.js'
import { TopicModels } from './simulation-topics.js'
import { Workload } from './simulation-workload.js'

export const DATA = '/data'

export class Simulation {
  readonly seed: number
  readonly random: SeededRandom
  readonly fs: FaultyFileSystem
  readonly topics: TopicModels
  readonly tally: Tally = { crashes: 0, powerLosses: 0, verified: 0, appends: 0, acked: 0 }
  readonly #segmentBytes: number
  #tag = 0
  #wallMs = 1_700_000_000_000
  /** The worst that happened since everything was looked at. */
  #ending: Ending = 'closed'

  constructor(seed: number, faults: FaultOptions = {}) {
    this.seed = seed
    this.random = new SeededRandom(seed)
    this.fs = new FaultyFileSystem({ ...faults, random: this.random })
    this.topics = new TopicModels()
    this.#segmentBytes = [300, 700, 1_500, 5_000, 60_000][below(this.random, 5)] as number
  }

  /** A number that nothing else in this simulation has. */
  nextTag(): number {
    return ++this.#tag
  }

  /** So many lives one after the other on the same files. Throws what was found wrong. */
  async run(lives: number): Promise<void> {
    for (let life = 0; life < lives; life++) await this.#live()
    await this.#live(0)
  }

  /**
   * One life that dies in the call of this number, and another that looks at what is left. False when the life had ended
   * before; up to that call it is the same life for every number.
   */
  async dieAt(call: number, ending: 'killed' | 'power-loss', operations: number): Promise<boolean> {
    this.fs.beforeOp((op) => {
      if (op.index >= call) throw new Crash(call % 2 === 0 ? 'before' : 'within')
    })
    const life = this.#begin()
    try {
      if (await this.#endsBefore(life.engine.open())) await new Workload(this, life).run(operations)
      if (!this.#isCrashed && (await this.#endsBefore(life.engine.close()))) return false
    } catch (error) {
      if (!this.#isCrashed) throw error
    }
    life.isOver = true
    this.tally.crashes++
    this.#wallMs = life.clock.now()
    this.#dieNow(ending)
    forgetHolder(this.fs)
    await this.#live(0)
    return true
  }

  async #live(operations = 4 + below(this.random, 50)): Promise<void> {
    const { random, fs } = this
    // Now and then the crash comes while the store is being opened.
    if (operations > 0 && chance(random, 0.15)) this.#armCrash(40)
    const life = this.#begin()
    try {
      if (!(await this.#endsBefore(life.engine.open()))) return this.#crash(life)
      if (!(await this.#endsBefore(this.topics.verify(life, this.#ending)))) return this.#crash(life)
      this.#ending = 'closed'
      this.tally.verified++
      if (operations === 0) return await life.engine.close()
      if (chance(random, 0.85)) this.#armCrash(10 + 6 * operations)
      await new Workload(this, life).run(operations)
      if (fs.opCount > 0 && !this.#isCrashed && chance(random, 0.4)) {
        if (await this.#endsBefore(life.engine.close())) {
          life.isOver = true
          this.#wallMs = life.clock.now()
          fs.beforeOp(null)
          if (chance(random, 0.5)) this.#dieNow()
          return
        }
      }
      this.#crash(life)
    } catch (error) {
      if (!this.#isCrashed) throw error
      this.#crash(life)
    }
  }

  #begin(): Life {
    const clock = new VirtualClock(this.#wallMs)
    const small = { segmentBytes: this.#segmentBytes, openFilesMax: 6, spareBytes: 1_000, besideBytes: 150 }
    const config = { ...LOG_DEFAULTS, ...small, data: DATA }
    const store = new LogStore(config, logSeams({ fs: this.fs.process(), clock, random: this.random }))
    return {
      store,
      engine: new LocalEngine(store, { clock: new SteadyTime(clock), producersMax: 100 }),
      clock,
      isOver: false,
    }
  }

  #armCrash(within: number): void {
    const at = this.fs.opCount + below(this.random, within)
    const moment = chance(this.random, 0.5) ? 'before' : 'within'
    this.fs.beforeOp((op) => {
      if (op.index >= at) throw new Crash(moment)
    })
  }

  get #isCrashed(): boolean {
    try {
      this.fs.exists('/')
      return false
    } catch {
      return true
    }
  }

  /** True when the work ended; false when the crash came first. Rethrows what has nothing to do with a crash. */
  async #endsBefore(work: Promise<unknown>): Promise<boolean> {
    let ended: 'ended' | 'failed' | null = null
    let failure: unknown
    work.then(
      () => {
        ended ??= 'ended'
      },
      (error: unknown) => {
        failure = error
        ended ??= 'failed'
      },
    )
    for (let turn = 0; ended === null; turn++) {
      if (turn > 200_000) assert.fail('the store has stopped without a word')
      await Promise.resolve()
      // A store that is dead settles nothing: it is given a while to, and then it is over.
      if (turn % 64 === 63 && this.#isCrashed) return false
    }
    if (ended === 'failed' && !this.#isCrashed) throw failure
    return ended === 'ended' && !this.#isCrashed
  }

  #crash(life: Life): void {
    life.isOver = true
    this.tally.crashes++
    this.#wallMs = life.clock.now() + below(this.random, 3) * 500
    this.#dieNow()
    forgetHolder(this.fs)
  }

  #dieNow(how: Ending = chance(this.random, 0.7) ? 'power-loss' : 'killed'): void {
    this.fs.beforeOp(null)
    if (how === 'power-loss') {
      this.tally.powerLosses++
      this.fs.powerLoss()
      this.#ending = 'power-loss'
    } else {
      this.fs.kill()
      if (this.#ending === 'closed') this.#ending = 'killed'
    }
  }
}

/** The lock of a life that ended is of a process that is gone; here it is the process that runs the test. */
export function forgetHolder(fs: FaultyFileSystem): void {
  const path = `${DATA}/lock`
  if (!fs.files().includes(path)) return
  const facts = lineAt(fs.contents(path), 0)?.value ?? null
  const line = encodeLine({ ...facts, pid: 0 })
  if (facts !== null) fs.put(path, Buffer.from(line + line))
}
