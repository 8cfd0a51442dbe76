/**
 * What an operator reads of subscriptions that come and go, in the lines of the original.
 */

import { quoted } from './journal.js'
import {
  START_FIRST,
  START_LAST_RECEIVED,
  START_SEQUENCE,
  START_TIME_DELTA,
  type SubscriptionRequest,
} from './messages.js'
import type { Subscribed, Subscription } from './subscription.js'

const NS_PER_MS = 1_000_000

/** `lastSent` is what was made of the start position. */
export function subscribedLine(
  { kind, subscription }: Subscribed,
  request: SubscriptionRequest,
  lastSent: number,
  nowMs: number,
): string {
  const what = describe(request.channel, subscription)
  if (kind === 'joined') return line(subscription, `Added member to ${what}`)
  if (kind === 'resumed') return line(subscription, `Resumed ${what}`)
  return line(subscription, `Started new ${what}, sending ${startOf(request, lastSent + 1, nowMs)}`)
}

/** Of one that has left. */
export function leftLine(channel: string, subscription: Subscription, isClose: boolean): string {
  const { group } = subscription
  const what = describe(channel, subscription)
  if (!group.isOffline) return line(subscription, `Removed member from ${what}`)
  return line(subscription, `${isClose && group.isDurable ? 'Suspended' : 'Removed'} ${what}`)
}

/** Of one whose messages are due again. */
export function skippedLine(subscription: Subscription): string {
  return line(subscription, `Skipping redelivery to subid=${subscription.id} due to missed client heartbeat`)
}

export function unreadableAckLine(channel: string, subscription: Subscription): string {
  const whose = `subid=${subscription.id}, subject=${channel}`
  return line(subscription, `Unable to process ack for ${whose}: it cannot be read, and further ones are counted only`)
}

/** The first of a subscription, which is ignored; `isThere` says whether there is such a channel at all. */
export function foreignAckLine(
  channel: string,
  { id }: Subscription,
  { sequence, named, isThere }: { readonly sequence: number; readonly named: string; readonly isThere: boolean },
): string {
  // Anybody can name anything.
  const shown = isThere || /^[!-~]{1,255}$/.test(named) ? named : quoted(named)
  const what = isThere ? `is not that of subid=${id}, subject=${channel}` : 'not found'
  return `Unable to process ack seq=${sequence}, channel ${shown} ${what}`
}

function line({ clientId }: Subscription, text: string): string {
  return `[Client:${clientId}] ${text}`
}

function describe(channel: string, { queue, durableName, inbox, id, group }: Subscription): string {
  const kind = `${durableName === '' ? '' : 'durable '}${queue === '' ? '' : 'queue '}`
  const name = queue !== '' ? ` queue=${group.queue},` : durableName !== '' ? ` durable=${durableName},` : ''
  return `${kind}subscription, subject=${channel}, inbox=${inbox},${name} subid=${id}`
}

function startOf(request: SubscriptionRequest, sequence: number, nowMs: number): string {
  switch (request.startPosition) {
    case START_LAST_RECEIVED:
      return `last message, seq=${sequence}`
    case START_TIME_DELTA: {
      const time = new Date(nowMs - request.startTimeDeltaNs / NS_PER_MS)
      return `from time time='${Number.isNaN(time.getTime()) ? '?' : time.toISOString()}' seq=${sequence}`
    }
    case START_SEQUENCE:
      return `from sequence, asked_seq=${request.startSequence} actual_seq=${sequence}`
    case START_FIRST:
      return `from beginning, seq=${sequence}`
    default:
      return `new-only, seq=${sequence}`
  }
}
