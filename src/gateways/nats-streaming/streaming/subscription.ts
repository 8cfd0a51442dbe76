/**
 * What the parts of the delivery machine share: a subscription as its client asked for it, and a message that waits for
 * its ack. Views: what may happen to them is in delivery-group.ts.
 */

/** As checked by whoever read the request. Empty strings mean "none". */
export interface SubscribeRequest {
  readonly clientId: string
  /** Where the client wants its messages; may be empty, and then nobody gets them. */
  readonly inbox: string
  /** Made by the server, anew for each request. */
  readonly ackInbox: string
  readonly queue: string
  readonly durableName: string
  /** At least 1. */
  readonly maxInFlight: number
  /** At least 1. */
  readonly ackWaitMs: number
}

/** Those who share one position in a channel: a plain or durable subscription by itself, or a queue group. */
export interface DeliveryGroup {
  /** From 1, of its channel alone: the id of the subscription that founded it. */
  readonly id: number
  /** Empty unless it is a queue group; of a durable one `durable:queue`, as clients see it. */
  readonly queue: string
  readonly isDurable: boolean
  /** The highest sequence that was sent to anybody, or skipped. */
  readonly lastSent: number
  /** How many new messages may be sent now. */
  readonly room: number
  /** Messages that wait for an ack. */
  readonly pending: number
  /** Nobody is in it. It is kept, because it is durable. */
  readonly isOffline: boolean
  /** Its members; of an offline one the last that left. */
  readonly subscriptions: readonly Subscription[]
}

/** One subscription of one connection; a durable that is resumed is a new one with the same id. */
export interface Subscription extends SubscribeRequest {
  /** From 1, of its channel alone, never used again for another subscription. */
  readonly id: number
  readonly group: DeliveryGroup
  /** Messages sent and not acked, and those of others that it took over. */
  readonly pending: number
  /** From the moment its client was told of it; before, it gets nothing. */
  readonly isReady: boolean
  /** Its client does not answer heartbeats. */
  readonly isFailing: boolean
  /** Closed, unsubscribed or replaced: its acks count no more. */
  readonly isGone: boolean
}

/** What a message that waits for its ack looks like from outside. */
export interface PendingMessage {
  readonly sequence: number
  readonly group: DeliveryGroup
  /** How often it was sent again: 1 on the first redelivery. */
  readonly redeliveries: number
}

/** Why a subscribe was refused, in the words that clients know. */
export const REFUSAL = {
  durableName: "stan: durable name of a durable queue subscriber can't contain the character ':'",
  duplicateDurable: 'stan: duplicate durable registration',
  tooMany: 'too many subscriptions per channel',
} as const

export type Refusal = (typeof REFUSAL)[keyof typeof REFUSAL]

export interface Subscribed {
  readonly kind: 'created' | 'joined' | 'resumed'
  readonly subscription: Subscription
  /** The active durable that had to go, when durables may be replaced: let go of its ack inbox. */
  readonly replaced: Subscription | null
}

export type SubscribeOutcome = Subscribed | { readonly kind: 'refused'; readonly error: Refusal }

/** One thing to keep: the newest value of each key counts, null removes it. */
export interface StateWrite {
  readonly key: string
  readonly value: Buffer | null
}

/** What makes two requests speak of the same position; a plain subscription shares with nobody. */
export function groupKey({ clientId, queue, durableName, ackInbox }: SubscribeRequest): string {
  if (queue !== '') return `q\0${durableName}\0${queue}`
  return durableName !== '' ? `d\0${clientId}\0${durableName}` : `p\0${ackInbox}`
}
