/**
 * What becomes of a word that was sent and not answered when its connection was lost. Called by verdicts.ts and
 * positioned-reading.ts.
 */
import { LeveretError } from '../src/common/errors.js'

export function inDoubt(): LeveretError {
  const message = 'the connection was lost before the answer: what was said counts, or the record comes again'
  return new LeveretError('LVT_IN_DOUBT', message)
}
