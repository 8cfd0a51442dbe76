/**
 * The clock that all processes of a bench share: the machine's monotonic one, so that a moment in one process can
 * be compared with a moment in another.
 */

/** Nanoseconds; a safe integer for a hundred days of uptime. */
export function nowNs(): number {
  return Number(process.hrtime.bigint())
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
  })
}
