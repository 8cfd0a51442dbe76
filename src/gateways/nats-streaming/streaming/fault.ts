/**
 * What goes wrong with a request in the words of its answer.
 */

/** Something cannot be had; the message is what the client is told. */
export class StreamingFault extends Error {
  override readonly name = 'StreamingFault'
}

export function textOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text === '' ? 'unknown error' : text
}
