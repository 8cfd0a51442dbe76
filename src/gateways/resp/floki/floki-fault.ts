/**
 * What Floki says when it refuses something. The texts are part of its protocol.
 */
import { type ErrorDetails, LeveretError } from '../../../common/errors.js'

/** Its message is the whole answer, with the word before it that tells the class. */
export class FlokiFault extends LeveretError {
  constructor(text: string, details: ErrorDetails = {}) {
    super('LVT_INVALID_ARGUMENT', text, details)
  }
}

/** A cap of leveret's own is reached. */
export class FlokiLimit extends FlokiFault {}

export const NO_QUEUE = 'QNF Queue Not Found'
export const NO_CHANNEL = 'CNF Channel Not Found'
export const QUEUE_EXISTS = 'QAE Queue Already Exists'
export const TOO_BIG = 'Unexpected error Backend(MessageTooBig)'

/** The answer to a request that failed. */
export function wordFailure(error: LeveretError): string {
  if (error instanceof FlokiFault) return error.message
  switch (error.code) {
    case 'LVT_TOPIC_NOT_FOUND':
      return NO_QUEUE
    case 'LVT_GROUP_NOT_FOUND':
      return NO_CHANNEL
    case 'LVT_RECORD_TOO_LARGE':
      return TOO_BIG
    case 'LVT_UNAVAILABLE':
    case 'LVT_READ_ONLY':
    case 'LVT_IN_DOUBT':
      return `Unexpected error Backend(Io(${error.message}))`
    default:
      return `ERR ${error.message}`
  }
}
