/**
 * Checks that stay on in production. A failed one is a defect of leveret, never of a peer.
 */
import { InvariantError } from './errors.js'

export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/** The default branch of an exhaustive switch: a new kind fails to compile, and a forged one fails loudly. */
export function unreachable(value: never, where: string): never {
  throw new InvariantError(`${where}: unexpected ${JSON.stringify(value)}`)
}
