/**
 * Records of a shared group that are due again, in the order in which they became so: who had to wait for longest goes
 * first (docs/decisions/0013). Kept as ranges; what is due no more is passed over when it is met.
 *
 * A record stands here from the moment at which its lease or its rest was over. What was merely released, and what a restart
 * brought back, does not: it goes by its offset, when nobody stands here.
 */

/** Records of one era: see set-aside.ts. */
export interface DueRun {
  readonly era: number
  from: number
  to: number
}

/** Who knows what is due still. */
export interface DueGroup {
  isDue(era: number, offset: number): boolean
}

/** Runs that are done with before the list is cut. */
const DONE_MAX = 64

export class DueLine {
  #runs: DueRun[] = []
  #first = 0

  /** It became due just now. */
  note(era: number, offset: number): void {
    const last = this.#runs.at(-1)
    if (last?.era === era && last.to === offset && this.#first < this.#runs.length) last.to++
    else this.#runs.push({ era, from: offset, to: offset + 1 })
  }

  /** Who is first: `from` of what is returned is due. Whoever takes records raises it. Null when nobody stands here. */
  front(group: DueGroup): DueRun | null {
    for (let run = this.#runs[this.#first]; run !== undefined; run = this.#runs[this.#first]) {
      while (run.from < run.to && !group.isDue(run.era, run.from)) run.from++
      if (run.from < run.to) return run
      this.#first++
      if (this.#first >= DONE_MAX && this.#first * 2 >= this.#runs.length) this.#cut()
    }
    this.#cut()
    return null
  }

  /** Who of an era stands here, and some who are due no more. */
  offsets(era: number): Set<number> {
    const offsets = new Set<number>()
    for (const run of this.#runs.slice(this.#first)) {
      if (run.era !== era) continue
      for (let offset = run.from; offset < run.to; offset++) offsets.add(offset)
    }
    return offsets
  }

  clear(): void {
    this.#runs = []
    this.#first = 0
  }

  #cut(): void {
    if (this.#first === 0) return
    this.#runs.splice(0, this.#first)
    this.#first = 0
  }
}
