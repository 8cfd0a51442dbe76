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

/** Characters: names in a line are as long as clients make them. */
const LINE_LENGTH_MAX = 1_000
const CONTROLS = /[\p{Cc}\u2028\u2029]/gu

/** Of a name that can be anything. */
const NAME_LENGTH_MAX = 255

/** A name of which nobody has looked whether it can be one. */
export function quoted(name: string): string {
  return JSON.stringify(name.slice(0, NAME_LENGTH_MAX))
}

/** What clients named must not look like a line of its own, nor fill the log. */
function inOneLine(text: string): string {
  const line = text.length > LINE_LENGTH_MAX ? `${text.slice(0, LINE_LENGTH_MAX)}...` : text
  return line.replace(CONTROLS, (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** The same journal, told nothing but single lines of a bounded length. */
export function lineByLine(journal: Journal): Journal {
  return {
    get hasDebug() {
      return journal.hasDebug
    },
    info: (line) => journal.info(inOneLine(line)),
    warn: (line) => journal.warn(inOneLine(line)),
    error: (line) => journal.error(inOneLine(line)),
    debug: (line) => journal.debug(inOneLine(line)),
  }
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
