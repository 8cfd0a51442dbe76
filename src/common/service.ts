/**
 * The life of a long-lived part. Constructors allocate and start nothing; whoever starts a part stops it.
 */
import { createLog } from './log.js'

const log = createLog('service')

export interface StopOptions {
  /** How long draining may take, in milliseconds, before the rest is destroyed. */
  readonly deadlineMs: number
}

export interface Service {
  /** Open files, sockets and timers. A failed start has undone itself. */
  start(): Promise<void>
  /** Refuse new work, drain, then destroy what is left at the deadline. Idempotent. */
  stop(options: StopOptions): Promise<void>
}

/** Start in order; when one fails, stop those already started in reverse and throw the failure. */
export async function startAll(services: readonly Service[]): Promise<void> {
  const started: Service[] = []
  for (const service of services) {
    try {
      await service.start()
      started.push(service)
    } catch (error) {
      // The failure to start is the one to be told.
      await stopAll(started, { deadlineMs: 0 }).catch((undoing: unknown) =>
        log('while a start was undone: %O', undoing),
      )
      throw error
    }
  }
}

/** Stop in reverse order, all of them, whatever fails; then throw the failures together. */
export async function stopAll(services: readonly Service[], options: StopOptions): Promise<void> {
  const failures: unknown[] = []
  for (const service of [...services].reverse()) {
    try {
      await service.stop(options)
    } catch (error) {
      failures.push(error)
    }
  }
  throwTogether(failures)
}

/** Services of one rank as one: started in order, and stopped at the same time, so that they share the deadline. */
export function together(services: readonly Service[]): Service {
  return {
    start: () => startAll(services),
    stop: async (options) => {
      const outcomes = await Promise.allSettled(services.map((service) => service.stop(options)))
      const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []))
      throwTogether(failures)
    },
  }
}

function throwTogether(failures: readonly unknown[]): void {
  if (failures.length === 1) throw failures[0]
  if (failures.length > 1) throw new AggregateError(failures, 'several parts failed to stop')
}
