/**
 * Tells the operator, once of each channel, that its limits were reached and old messages are dropped from now on. The broker drops
 * them; here is only looked, the more often the nearer a channel is to its limits, and never for a single message far from them.
 */
import type { Broker } from '../../../broker/broker.js'
import type { TopicFacts } from '../../../broker/topic-facts.js'
import { KEEP_FOREVER, type RetentionLimits } from '../../../model/topic.js'
import type { Journal } from './journal.js'

interface Watched {
  /** To be published before the next look. */
  messages: number
  bytes: number
  /** What was published last. */
  lastBytes: number
  isLooking: boolean
}

export interface ReachedLimitsOptions {
  readonly broker: Broker
  readonly journal: Journal
}

export class ReachedLimits {
  readonly #options: ReachedLimitsOptions
  /** Null for those that need no look. What is deleted is forgotten by itself. */
  readonly #watched = new WeakMap<TopicFacts, Watched | null>()

  constructor(options: ReachedLimitsOptions) {
    this.#options = options
  }

  /** So much is on its way into the channel. */
  published(channel: TopicFacts, messages: number, bytes: number): void {
    let watched = this.#watched.get(channel)
    if (watched === undefined) {
      const { records, bytes: bytesMax } = limitsOf(channel)
      const isLimited = records !== null || bytesMax !== null
      watched = isLimited ? { messages: 0, bytes: 0, lastBytes: 0, isLooking: false } : null
      this.#watched.set(channel, watched)
    }
    if (watched === null) return
    watched.messages -= messages
    watched.bytes -= bytes
    watched.lastBytes = bytes
  }

  /** It is there, and what had to go for it is gone or going. */
  stored(channel: TopicFacts): void {
    const watched = this.#watched.get(channel)
    if (watched === undefined || watched === null || watched.isLooking) return
    if (watched.messages < 0 || watched.bytes < 0) void this.#look(channel, watched)
  }

  async #look(channel: TopicFacts, watched: Watched): Promise<void> {
    const { broker, journal } = this.#options
    const { records: messagesMax, bytes: bytesMax } = limitsOf(channel)
    watched.isLooking = true
    try {
      const [state] = (await broker.describeTopic(channel.name)).partitions
      if (state === undefined) return
      const { logStart, end, bytes } = state
      const count = end - logStart
      // What was dropped is not there to be counted: a limit is reached where one more like the last would not fit.
      const isFull = messagesMax !== null && end > messagesMax && count >= messagesMax
      if (isFull || (bytesMax !== null && bytes + watched.lastBytes > bytesMax)) {
        const shown = `msgs=${count}/${messagesMax ?? 0} bytes=${bytes}/${bytesMax ?? 0}`
        journal.warn(
          `Reached limits for store "${channel.name}" (${shown}), dropping old messages to make room for new ones`,
        )
        this.#watched.set(channel, null)
        return
      }
      watched.messages = half(messagesMax, count)
      watched.bytes = half(bytesMax, bytes)
    } catch {
      // It was deleted meanwhile, or the store fails, which others say: the next message is another chance.
    } finally {
      watched.isLooking = false
    }
  }
}

/** Of the topic itself: those of the store are for channels that were made here, and for no others. */
function limitsOf({ settings: { retention } }: TopicFacts): RetentionLimits {
  return retention === 'none' ? KEEP_FOREVER : retention
}

/** On the way to the limit there are few looks, and at the limit one for each publish. */
function half(max: number | null, now: number): number {
  return max === null ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor((max - now) / 2))
}
