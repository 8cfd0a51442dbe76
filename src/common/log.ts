/**
 * Debug logs under `leveret:<room>:<part>`, switched on by the DEBUG variable. Payloads and secrets are never
 * logged, and long values are cut.
 */
import debug from 'debug'

export type Log = debug.Debugger

export function createLog(path: string): Log {
  return debug(`leveret:${path}`)
}

const VALUE_CHARS_MAX = 120

/** A value from a peer, made safe for a log line: control characters escaped, and cut. */
export function brief(value: string): string {
  const escaped = JSON.stringify(value)
  return escaped.length <= VALUE_CHARS_MAX ? escaped : `${escaped.slice(0, VALUE_CHARS_MAX)}…`
}
