/**
 * What the streaming server tells its operator, in the lines that users of NATS Streaming know. Who prints them, and how, is
 * somebody else's affair.
 */
import { createLog } from '../../../common/log.js'

export interface Journal {
  /** Whether anybody reads what `debug` says. */
  readonly hasDebug: boolean
  info(line: string): void
  warn(line: string): void
  error(line: string): void
  debug(line: string): void
}

const log = createLog('gateways:nats-streaming')

/** Into the debug log of the process. */
export const debugJournal: Journal = {
  get hasDebug() {
    return log.enabled
  },
  info: (line) => log(line),
  warn: (line) => log(line),
  error: (line) => log(line),
  debug: (line) => log(line),
}
