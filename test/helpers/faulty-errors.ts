/**
 * The errors of the fault-injecting file system: those of an operating system, and the crash of the process itself.
 */
import { constants } from 'node:os'

/** Looks like an error of node's file system: a message that begins with the code, and `code`, `errno`, `syscall`, `path`. */
export function systemError(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  const errno = -(constants.errno[code as keyof typeof constants.errno] ?? 0)
  return Object.assign(new Error(`${code}: injected or modelled, ${syscall} '${path}'`), { code, errno, syscall, path })
}

/**
 * The process died in a call, which does not return: every later call throws the same until the test says what became
 * of the machine. `within` lets a write happen in part, as the seed chooses; `before` lets nothing of the call happen.
 */
export class Crash extends Error {
  readonly moment: 'before' | 'within'

  constructor(moment: 'before' | 'within' = 'before') {
    super(`the process crashed ${moment} a call to the file system`)
    this.moment = moment
  }
}
