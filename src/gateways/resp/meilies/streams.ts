/**
 * Streams, as the broker has them: topics of one partition that keep their records. What MeiliES makes keeps them for ever; a
 * topic that was made otherwise is a stream too, as long as an event has one number in it.
 */
import type { Broker } from '../../../broker/broker.js'
import type { Topic } from '../../../broker/topic.js'
import { LeveretError, UnsupportedError } from '../../../common/errors.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER, type TopicSettings } from '../../../model/topic.js'
import { isStreamName } from './stream-spec.js'

const STREAM_SETTINGS: TopicSettings = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER }

const SURROGATE = /[\ud800-\udfff]/

export class Streams {
  readonly broker: Broker

  constructor(broker: Broker) {
    this.broker = broker
  }

  /** The topic of a stream if it can be published to at once; else ask `useKept`. Throws UnsupportedError. */
  inUse(name: string): Topic | null {
    const topic = this.broker.topicInUse(name)
    if (topic !== null) requireKept(name, topic.settings)
    return topic
  }

  /** The same, made if it is missing. */
  async useKept(name: string): Promise<Topic> {
    const topic = await this.use(name)
    requireKept(name, topic.settings)
    return topic
  }

  /** The topic of a stream, made if it is missing. Throws UnsupportedError, TopicLimitError. */
  async use(name: string): Promise<Topic> {
    await this.#make(name)
    const topic = await this.broker.useTopic(name)
    requireOnePartition(name, topic.settings)
    return topic
  }

  /** Whether `$all` and `stream-names` have it. */
  isStream(name: string): boolean {
    const settings = this.broker.topicSettings(name)
    if (settings === null || settings.partitions !== 1 || settings.retention === 'none') return false
    return isStreamName(name)
  }

  /** In the order of their bytes. */
  names(): string[] {
    const names = this.broker.topicNames('', Number.MAX_SAFE_INTEGER).names.filter((name) => this.isStream(name))
    // The order of the broker is that of UTF-16, which is another one with these characters only.
    if (names.some((name) => SURROGATE.test(name))) names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    return names
  }

  /** Number of the newest event; null while there is none. */
  async lastNumber(name: string): Promise<number | null> {
    const settings = this.broker.topicSettings(name)
    if (settings === null) return null
    requireOnePartition(name, settings)
    const { partitions } = await this.broker.describeTopic(name)
    const end = partitions[0]?.end ?? 0
    return end === 0 ? null : end - 1
  }

  async #make(name: string): Promise<void> {
    if (this.broker.topicSettings(name) !== null) return
    try {
      await this.broker.createTopic(name, STREAM_SETTINGS)
    } catch (error) {
      // Somebody else was quicker, and wanted it otherwise.
      if (!(error instanceof LeveretError) || error.code !== 'LVT_TOPIC_CONFLICT') throw error
    }
  }
}

/** To answer OK for what nobody keeps would be no answer. */
function requireKept(name: string, settings: TopicSettings): void {
  requireOnePartition(name, settings)
  if (settings.retention !== 'none') return
  throw new UnsupportedError(`topic "${name}" keeps no records, and a stream keeps its events`, { topic: name })
}

function requireOnePartition(name: string, { partitions }: TopicSettings): void {
  if (partitions === 1) return
  throw new UnsupportedError(
    `topic "${name}" has ${partitions} partitions, and the events of a stream have one number`,
    {
      topic: name,
    },
  )
}
