/**
 * Calls a callback of the user from within the client: what it throws is the user's uncaught exception, and never
 * takes a connection down.
 */
export function callUser(callback: () => void): void {
  try {
    callback()
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}
