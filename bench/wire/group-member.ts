/**
 * What a raw worker knows of a member of a group: bytes to send, and a reader that acknowledges every record by itself
 * and counts what the peer has confirmed.
 */
export interface MemberJob {
  readonly group: string
  /** Different for each member of a group. */
  readonly member: string
  readonly payloadBytes: number
  /** Records that it may have in flight. */
  readonly window: number
}

export interface MemberDialect {
  /** Sent at once; answered before the time runs. */
  greeting(): Buffer
  /** The first fetch: the time runs from here. */
  begin(): Buffer
  readonly isReady: boolean
  /** Records that arrived. */
  readonly received: number
  /** Of them, those whose ack the peer has confirmed, or which it never confirms and got the ack of. */
  readonly acked: number
  /** Sum of the offsets of what arrived, for a peer whose offsets begin at 0 and have no gaps; else null. */
  readonly offsetSum: number | null
  /** Throws on a failure. The chunk is reused after the call. */
  feed(chunk: Buffer, reply: (bytes: Buffer) => void): void
}
