/**
 * Records that members lost without a word of theirs: the lease ran out, or the group went on without them. Whoever runs
 * the machine takes them from here and tells the members, who have room again. Kept as ranges, and only until then.
 */
import { type Offset, toOffset } from '../../model/offset.js'
import type { Range } from './settings.js'

export interface Lapse extends Range {
  readonly member: number
  /** Of the leases: see Taken. */
  readonly era: number
}

interface OpenLapse extends Lapse {
  to: Offset
}

export const NO_LAPSES: readonly Lapse[] = []

export class Lapses {
  #noted: OpenLapse[] | null = null

  note(member: number, era: number, offset: number): void {
    this.#noted ??= []
    const last = this.#noted.at(-1)
    if (last?.member === member && last.era === era && last.to === offset) last.to = toOffset(offset + 1)
    else this.#noted.push({ member, era, from: toOffset(offset), to: toOffset(offset + 1) })
  }

  /** Those since the last call, in the order in which they happened. */
  take(): readonly Lapse[] {
    const noted = this.#noted
    this.#noted = null
    return noted ?? NO_LAPSES
  }
}
