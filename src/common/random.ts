/**
 * All randomness comes through a Random, so that tests can replay a run from its seed.
 */
import { randomBytes } from 'node:crypto'

export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** An identifier that no other process makes, of `bytes` random bytes in hexadecimal. */
  id(bytes: number): string
}

export const systemRandom: Random = {
  next: () => Math.random(),
  id: (bytes) => randomBytes(bytes).toString('hex'),
}
