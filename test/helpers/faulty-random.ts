/**
 * Chance from a seed, so that a round of a simulation can be run again from the number that a failure prints.
 */
import type { Random } from '../../src/common/random.js'

/** The generator known as mulberry32: small, fast, and good enough to choose faults with. */
export class SeededRandom implements Random {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    this.seed = seed
    // Seeds are counted up by tests: neighbours must not begin alike.
    this.#state = Math.imul(seed ^ 0x5bd1_e995, 0x9e37_79b1) | 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  id(bytes: number): string {
    let id = ''
    for (let index = 0; index < bytes; index++) id += below(this, 256).toString(16).padStart(2, '0')
    return id
  }
}

/** An integer in [0, bound). */
export function below(random: Random, bound: number): number {
  return Math.floor(random.next() * bound)
}

export function chance(random: Random, probability: number): boolean {
  return probability > 0 && random.next() < probability
}

/** One end or the other, as often as any integer from one to the other. */
export function between(random: Random, from: number, to: number): number {
  const place = below(random, 3)
  if (place === 0 || from === to) return from
  if (place === 1) return to
  return Math.min(from, to) + below(random, Math.abs(to - from) + 1)
}

/** How much of something survives: nothing, all, half, or any share, so that the extremes are as frequent as mixtures. */
export function share(random: Random): number {
  const kind = below(random, 4)
  return kind < 2 ? kind : kind === 2 ? 0.5 : random.next()
}

/** How much of something that was cut off has been done: nothing, or any part but the whole. */
export function partOf(random: Random, length: number): number {
  return chance(random, 0.5) ? 0 : below(random, length)
}
