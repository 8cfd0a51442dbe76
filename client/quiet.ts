/**
 * A promise whose failure is told to those who await it, and to nobody else: what a user does not await must not end
 * the user's process as an unhandled rejection.
 */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(nothing)
  return promise
}

export function nothing(): void {
  // Said to those who listen.
}
