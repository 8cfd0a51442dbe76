/**
 * The members of a shared group that got something: how much each of them has, and what it lost without a word of its own.
 */
import { type Lapse, Lapses, NO_LAPSES } from './lapses.js'
import type { MemberFacts } from './settings.js'

export interface Holder {
  held: number
  expired: number
  lastVerdictMs: number | null
}

export class Holders {
  /** From the first record that a member gets until it leaves. */
  #members: Map<number, Holder> | null = null
  /** From the first lapse on: most groups are idle. */
  #lapses: Lapses | null = null

  known(member: number): Holder | undefined {
    return this.#members?.get(member)
  }

  heldBy(member: number): number {
    return this.#members?.get(member)?.held ?? 0
  }

  of(member: number): Holder {
    this.#members ??= new Map()
    let known = this.#members.get(member)
    if (known === undefined) {
      known = { held: 0, expired: 0, lastVerdictMs: null }
      this.#members.set(member, known)
    }
    return known
  }

  facts(): MemberFacts[] {
    return Array.from(this.#members ?? [], ([member, facts]) => ({ member, ...facts }))
  }

  /** Returns how many records it held. */
  leave(member: number): number {
    const held = this.heldBy(member)
    this.#members?.delete(member)
    // A group that nobody is in is small, if it has nothing in flight.
    if (this.#members?.size === 0) this.#members = null
    return held
  }

  /** It has the record no more. */
  lapse(member: number, era: number, offset: number): Holder {
    const holder = this.of(member)
    holder.held--
    this.#lapses ??= new Lapses()
    this.#lapses.note(member, era, offset)
    return holder
  }

  /** Nothing is known of anybody, when what was lost is told. */
  get isEmpty(): boolean {
    return this.#members === null
  }

  /** What members lost without a word of theirs since the last call. */
  takeLapses(): readonly Lapse[] {
    return this.#lapses?.take() ?? NO_LAPSES
  }
}
