/**
 * Channels, as the broker has them: topics of one partition that keep their records, whoever made them. What NATS Streaming
 * makes is kept as the limits of the store say; names that differ in their case alone are not made.
 */
import type { Broker } from '../../../broker/broker.js'
import type { Topic } from '../../../broker/topic.js'
import { InvalidArgumentError, LeveretError } from '../../../common/errors.js'
import type { MetricsRegistry } from '../../../metrics/registry.js'
import { sameSettings, type TopicSettings } from '../../../model/topic.js'
import { isChannelName } from './channel-names.js'
import { StreamingFault } from './fault.js'
import { type StoreLimits, topicSettingsOf } from './store-limits.js'

export const CHANNEL_DELETED = 'stan: channel is being deleted'

export interface ChannelListener {
  /** `isOwn` says that a client of this protocol made it. */
  created(channel: string, isOwn: boolean): void
  /** By somebody else. */
  deleted(channel: string): void
  /** A client wanted it, and it could not be made. */
  failed(channel: string, error: unknown): void
}

export interface ChannelsOptions {
  readonly broker: Broker
  readonly limits: StoreLimits
  readonly listener: ChannelListener
  readonly metrics: MetricsRegistry
}

export class Channels {
  readonly #broker: Broker
  readonly #limits: StoreLimits
  readonly #listener: ChannelListener
  readonly #creating = new Map<string, Promise<Topic>>()
  readonly #deleting = new Set<string>()
  /** By name in small letters; those that others gave settings of no channel may still be there. */
  readonly #names = new Map<string, string>()
  /** Settings with which a topic is a channel, so that it is not looked into for each message. */
  readonly #checked = new WeakMap<Topic, TopicSettings>()
  #unwatch: (() => void) | null = null

  constructor({ broker, limits, listener, metrics }: ChannelsOptions) {
    this.#broker = broker
    this.#limits = limits
    this.#listener = listener
    metrics.gauge(
      'leveret_nats_streaming_channels',
      'Channels, topics that others made included',
      () => this.#names.size,
    )
  }

  start(): void {
    for (const name of this.#broker.topicNames('', Number.MAX_SAFE_INTEGER).names) this.#note(name)
    this.#unwatch = this.#broker.watchTopics(
      (name) => {
        this.#note(name)
        if (!this.#creating.has(name)) this.#listener.created(name, false)
      },
      (name) => {
        this.#forget(name)
        if (!this.#deleting.has(name)) this.#listener.deleted(name)
      },
    )
  }

  stop(): void {
    this.#unwatch?.()
  }

  /** Its limits may be others than when it was made. Throws what the broker throws. */
  async limit(name: string): Promise<void> {
    const settings = this.#broker.topicSettings(name)
    if (settings === null || !this.#isChannel(name, settings)) return
    const { retention } = topicSettingsOf(this.#limits.of(name))
    const limited = { ...settings, retention }
    if (!sameSettings(limited, settings)) await this.#broker.changeTopic(name, limited)
  }

  has(name: string): boolean {
    const settings = this.#broker.topicSettings(name)
    return settings !== null && this.#isChannel(name, settings) && !this.#deleting.has(name)
  }

  names(): string[] {
    return [...this.#names.values()].filter((name) => this.has(name))
  }

  /** Its topic if it can be published to at once; else ask `use`. */
  inUse(name: string): Topic | null {
    const topic = this.#broker.topicInUse(name)
    if (topic === null || this.#deleting.has(name)) return null
    if (this.#checked.get(topic) === topic.settings) return topic
    if (!this.#isChannel(name, topic.settings)) return null
    this.#checked.set(topic, topic.settings)
    return topic
  }

  /** Its topic, made if it is missing. Throws StreamingFault, and what the broker throws. */
  async use(name: string): Promise<Topic> {
    if (this.#deleting.has(name)) throw new StreamingFault(CHANNEL_DELETED)
    const settings = this.#broker.topicSettings(name)
    if (settings !== null) {
      this.#require(name, settings)
      return await this.#broker.useTopic(name)
    }
    try {
      return await this.#create(name)
    } catch (error) {
      this.#listener.failed(name, error)
      throw error
    }
  }

  /**
   * With all messages in it, and then what else is known of it. Whoever asks for it meanwhile is told that it is being
   * deleted. Throws what the broker and `forget` throw.
   */
  async delete(name: string, forget: () => Promise<void>): Promise<void> {
    this.#deleting.add(name)
    try {
      await this.#broker.deleteTopic(name)
      await forget()
    } finally {
      this.#deleting.delete(name)
    }
  }

  #create(name: string): Promise<Topic> {
    const known = this.#creating.get(name)
    if (known !== undefined) return known
    this.#refuse(name)
    const creating = this.#make(name).finally(() => this.#creating.delete(name))
    this.#creating.set(name, creating)
    return creating
  }

  async #make(name: string): Promise<Topic> {
    try {
      await this.#broker.createTopic(name, topicSettingsOf(this.#limits.of(name)))
      this.#listener.created(name, true)
    } catch (error) {
      // No topic can be called that: channels of the original could have control characters, and more than 255 bytes.
      if (error instanceof InvalidArgumentError)
        throw new StreamingFault(cannotBe(name, error.message), { cause: error })
      // Somebody else was quicker, and wanted it otherwise.
      if (!(error instanceof LeveretError) || error.code !== 'LVT_TOPIC_CONFLICT') throw error
    }
    const topic = await this.#broker.useTopic(name)
    this.#require(name, topic.settings)
    return topic
  }

  /** Throws StreamingFault unless there may be one of that name. */
  #refuse(name: string): void {
    const lower = name.toLowerCase()
    let other = this.#names.get(lower)
    if (other !== undefined && !this.has(other)) {
      this.#names.delete(lower)
      other = undefined
    }
    for (const made of this.#creating.keys()) if (made.toLowerCase() === lower) other = made
    if (other !== undefined && other !== name) {
      // As the original writes it.
      const text = `rejecting channel "${name}" because channel "${other}" alreay exists (different cases not allowed)`
      throw new StreamingFault(text)
    }
    const { channelsMax } = this.#limits
    if (channelsMax === null || this.#names.size + this.#creating.size < channelsMax) return
    for (const known of this.#names.values()) if (!this.has(known)) this.#forget(known)
    if (this.#names.size + this.#creating.size >= channelsMax) throw new StreamingFault('too many channels')
  }

  #note(name: string): void {
    const lower = name.toLowerCase()
    const settings = this.#broker.topicSettings(name)
    if (settings !== null && this.#isChannel(name, settings) && !this.#names.has(lower)) this.#names.set(lower, name)
  }

  #forget(name: string): void {
    const lower = name.toLowerCase()
    if (this.#names.get(lower) === name) this.#names.delete(lower)
  }

  #isChannel(name: string, settings: TopicSettings): boolean {
    return obstacle(settings) === null && isChannelName(name)
  }

  #require(name: string, settings: TopicSettings): void {
    if (this.#isChannel(name, settings)) return
    throw new StreamingFault(cannotBe(name, whyNot(settings)))
  }
}

function cannotBe(name: string, why: string): string {
  return `topic "${name}" cannot be a channel: ${why}`
}

function whyNot(settings: TopicSettings): string {
  return obstacle(settings) ?? 'a channel cannot be called that'
}

/** Null if nothing about it keeps the topic from being a channel. */
function obstacle({ partitions, retention, keepLatestPerKey }: TopicSettings): string | null {
  if (partitions !== 1) return `it has ${partitions} partitions`
  if (retention === 'none') return 'it keeps nothing'
  // There are holes wherever a record was replaced.
  return keepLatestPerKey ? 'it keeps only the newest record of each key' : null
}
