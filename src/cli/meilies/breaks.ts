/**
 * Work that goes on after its connection broke: begun again, a little later each time, by whoever knows where it was.
 */
import type { Clock } from '../../common/clock.js'
import { AbortedError, DisconnectedError } from '../../common/errors.js'
import { say, type Terminal } from '../terminal.js'

const FIRST_WAIT_MS = 100
const WAIT_MS_MAX = 5_000

/** The first connection must succeed; `work` says when it has. Throws what is no break, and AbortedError when interrupted. */
export async function throughBreaks<T>(terminal: Terminal, work: (connected: () => void) => Promise<T>): Promise<T> {
  let wasConnected = false
  let waitMs = FIRST_WAIT_MS
  for (;;) {
    try {
      return await work(() => {
        if (wasConnected) say(terminal, 'connected again')
        wasConnected = true
        waitMs = FIRST_WAIT_MS
      })
    } catch (error) {
      if (!(error instanceof DisconnectedError) || !wasConnected) throw error
      if (waitMs === FIRST_WAIT_MS) say(terminal, `${error.message}; trying again`)
      await rest(terminal.clock, waitMs, terminal.interrupted)
      waitMs = Math.min(2 * waitMs, WAIT_MS_MAX)
    }
  }
}

/** Throws AbortedError as soon as the signal says so. */
export async function rest(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (!signal.aborted) {
    await new Promise<void>((resolve) => {
      const timer = clock.after(ms, done, true)
      function done(): void {
        timer.cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      signal.addEventListener('abort', done)
    })
  }
  if (signal.aborted) throw new AbortedError('interrupted')
}
