/**
 * Why nothing more is read from a connection of the NATS protocol.
 */

/** `text` is what the peer is told before the end, without the quotes; null where the original just hangs up. */
export class NatsFault extends Error {
  readonly text: string | null

  constructor(text: string | null, reason: string) {
    super(reason)
    this.text = text
  }
}
