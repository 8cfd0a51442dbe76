/**
 * Queues and their channels, as the broker has them: topics of one partition that keep their records, and shared groups.
 * What changes one queue is done in turn. A queue that others made is one too, if its name can be said here.
 */
import type { Broker } from '../../../broker/broker.js'
import type { JoinHow } from '../../../broker/group-member.js'
import type { Topic } from '../../../broker/topic.js'
import type { Clock } from '../../../common/clock.js'
import { GroupNotFoundError, InvalidArgumentError, LeveretError, TopicNotFoundError } from '../../../common/errors.js'
import type { Random } from '../../../common/random.js'
import type { GroupState } from '../../../model/group.js'
import type { SegmentInfo } from '../../../model/segment-info.js'
import type { Start, TopicSettings } from '../../../model/topic.js'
import { Channel, type ChannelContext } from './channel.js'
import { isQueueName } from './floki-arguments.js'
import { FlokiFault, FlokiLimit, NO_CHANNEL, NO_QUEUE, QUEUE_EXISTS } from './floki-fault.js'
import { KeptSettings } from './kept-settings.js'
import { OneByOne } from './one-by-one.js'
import { changeOf, type QueueConfig, topicSettingsOf, withTopic } from './queue-config.js'
import { SettingsLog } from './settings-log.js'
import { TicketDraw } from './tickets.js'

const GROUPS_AT_ONCE = 1_000
/** What is in flight when a channel goes elsewhere is still whose it was. */
const KEEPS_LEASES = true

export interface QueuesOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly random: Random
  readonly fetchBytesMax: number
  readonly deliveryBytesMax: number
  /** Of queues that are made from now on, as far as nothing else was said with CONFIG SET. */
  readonly queueDefaults: QueueConfig
}

export class Queues {
  readonly #options: QueuesOptions
  readonly #kept: KeptSettings
  readonly #draw: TicketDraw
  /** By queue and name, those that somebody has used. */
  readonly #channels = new Map<string, Map<string, Channel>>()
  readonly #order = new OneByOne()
  readonly #creating = new Set<string>()
  /** Queues whose first channel could not be made: to make them again goes on with that. */
  readonly #unfinished = new Set<string>()
  #opening: Promise<void> | null = null
  isOpen = false

  constructor(options: QueuesOptions) {
    this.#options = options
    this.#kept = new KeptSettings(new SettingsLog(options.broker, options.clock), options.queueDefaults)
    this.#draw = new TicketDraw(options.random)
  }

  /** To be called before anything else; tried again if it fails. */
  open(): Promise<void> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  /** Those who wait for messages, of all channels. */
  get waiting(): number {
    let waiting = 0
    for (const channels of this.#channels.values()) for (const channel of channels.values()) waiting += channel.waiting
    return waiting
  }

  /** Messages in flight, of all channels. */
  get inFlight(): number {
    let inFlight = 0
    for (const channels of this.#channels.values())
      for (const channel of channels.values()) inFlight += channel.inFlight
    return inFlight
  }

  has(name: string): boolean {
    const settings = this.#options.broker.topicSettings(name)
    return settings !== null && isQueue(name, settings)
  }

  names(): string[] {
    const { names } = this.#options.broker.topicNames('', Number.MAX_SAFE_INTEGER)
    return names.filter((name) => this.has(name))
  }

  require(name: string): void {
    if (!this.has(name)) throw new FlokiFault(NO_QUEUE)
  }

  /** The topic if it can be published to at once; else ask `useTopic`. Throws FlokiFault. */
  topicInUse(name: string): Topic | null {
    const topic = this.#options.broker.topicInUse(name)
    // What was a queue when its channels were made has a name for one.
    if (topic !== null && this.#channels.has(name) && canBeQueue(topic.settings)) return topic
    this.require(name)
    return topic
  }

  useTopic(name: string): Promise<Topic> {
    this.require(name)
    return this.#options.broker.useTopic(name)
  }

  /** A channel that somebody has used; else ask `useChannel`. */
  channelInUse(queue: string, name: string): Channel | null {
    return this.#channels.get(queue)?.get(name) ?? null
  }

  /** Throws FlokiFault. */
  useChannel(queue: string, name: string): Promise<Channel> {
    return this.#order.run(queue, async () => {
      const channel = this.channelInUse(queue, name)
      if (channel !== null) return channel
      await this.#requireChannel(queue, name)
      return await this.#seat(queue, name)
    })
  }

  /** Make the queue and the channel, or (`isGentle`) what of them is missing. Throws FlokiFault. */
  create(queue: string, channel: string, isGentle: boolean): Promise<void> {
    return this.#order.run(queue, async () => {
      const settings = this.#options.broker.topicSettings(queue)
      if (settings === null) {
        await this.#make(queue)
        this.#unfinished.add(queue)
      } else if (!isGentle && !this.#unfinished.has(queue)) throw new FlokiFault(QUEUE_EXISTS)
      else if (!isQueue(queue, settings)) {
        throw new FlokiFault(`ERR topic "${queue}" cannot be a queue: it keeps nothing, or has several partitions`)
      }
      await this.#makeChannel(queue, channel)
      this.#unfinished.delete(queue)
    })
  }

  /** False if there is no such queue. */
  delete(queue: string): Promise<boolean> {
    return this.#order.run(queue, async () => {
      if (!this.has(queue)) return false
      await this.#options.broker.deleteTopic(queue)
      this.#channels.delete(queue)
      this.#unfinished.delete(queue)
      await this.#kept.remove(queue)
      return true
    })
  }

  /** False if there is no such channel. */
  deleteChannel(queue: string, name: string): Promise<boolean> {
    return this.#order.run(queue, async () => {
      if (!(await this.#hasChannel(queue, name))) return false
      await this.#kept.putStart(queue, name, 0)
      await this.#options.broker.deleteGroup(queue, name)
      return true
    })
  }

  /** Go on with the message `id`, or what comes first after it. Throws FlokiFault. */
  seekTo(queue: string, name: string, id: number): Promise<void> {
    return this.#order.run(queue, async () => {
      await this.#requireChannel(queue, name)
      const offset = Math.max(0, id - 1)
      const isAhead = offset > (await this.partition(queue)).end
      await this.#seek(queue, name, { kind: 'offset', offset }, isAhead ? offset : 0, KEEPS_LEASES)
    })
  }

  /** Go on with the first message that arrived in this second since 1970, or later. Throws FlokiFault. */
  seekToTime(queue: string, name: string, seconds: number): Promise<void> {
    return this.#order.run(queue, async () => {
      await this.#requireChannel(queue, name)
      await this.#seek(queue, name, { kind: 'time', timeMs: seconds * 1_000 }, 0, KEEPS_LEASES)
    })
  }

  /** Pass over what a channel has not got. False if there is no such channel. */
  purgeChannel(queue: string, name: string): Promise<boolean> {
    return this.#order.run(queue, async () => {
      if (!(await this.#hasChannel(queue, name))) return false
      await this.#seek(queue, name, { kind: 'latest' }, 0)
      return true
    })
  }

  /** Remove all messages. False if there is no such queue. */
  purge(queue: string): Promise<boolean> {
    return this.#order.run(queue, async () => {
      if (!this.has(queue)) return false
      const { end } = await this.partition(queue)
      for (const { name } of await this.channelStates(queue)) {
        await this.#seek(queue, name, { kind: 'offset', offset: end }, 0)
      }
      await this.#options.broker.purge(queue, 0, end)
      return true
    })
  }

  get defaults(): QueueConfig {
    return this.#kept.defaults
  }

  /** Null if there is no such queue. */
  config(queue: string): QueueConfig | null {
    const settings = this.#options.broker.topicSettings(queue)
    if (settings === null || !isQueue(queue, settings)) return null
    return withTopic(this.#kept.of(queue).config, settings)
  }

  /** Of queues that are made from now on. Throws FlokiFault. */
  async changeDefaults(key: string, value: string): Promise<void> {
    const change = changeOf(key, value)
    await this.#order.run('', () => {
      // Only what was said here: the settings of the server go on to say the rest.
      return this.#kept.putDefaults(change)
    })
  }

  /** Throws FlokiFault. */
  changeConfig(queue: string, key: string, value: string): Promise<void> {
    return this.#order.run(queue, async () => {
      const { broker } = this.#options
      const settings = broker.topicSettings(queue)
      const before = this.config(queue)
      if (settings === null || before === null) throw new FlokiFault(NO_QUEUE)
      const config = { ...before, ...changeOf(key, value) }
      await this.#kept.put(queue, { ...this.#kept.of(queue), config })
      await broker.changeTopic(queue, topicSettingsOf(config, settings))
      if (config.message_timeout === before.message_timeout) return
      for (const name of this.#channels.get(queue)?.keys() ?? []) await this.#tellTimeout(queue, name)
    })
  }

  async partition(queue: string): Promise<{ logStart: number; end: number; bytes: number }> {
    const { partitions } = await this.#options.broker.describeTopic(queue)
    const [partition] = partitions
    if (partition === undefined) throw new TopicNotFoundError(queue)
    return partition
  }

  /** Those that the dialect has made. */
  *made(): IterableIterator<string> {
    for (const name of this.#kept.made()) if (this.has(name)) yield name
  }

  /** Do it while nothing else is done to the queue, if it is there still. */
  async tend(queue: string, act: (config: QueueConfig) => Promise<void>): Promise<void> {
    await this.#order.run(queue, async () => {
      const config = this.config(queue)
      if (config !== null) await act(config)
    })
  }

  async segments(queue: string): Promise<readonly SegmentInfo[]> {
    return await this.#options.broker.segments(queue, 0, null)
  }

  async channelStates(queue: string): Promise<GroupState[]> {
    return (await this.readers(queue)).filter(({ mode }) => mode === 'shared')
  }

  /** Channels, and groups that are none. */
  async readers(queue: string): Promise<GroupState[]> {
    const states: GroupState[] = []
    for (let after = '', more = true; more; after = states.at(-1)?.name ?? '') {
      const page = await this.#options.broker.groups(queue, after, GROUPS_AT_ONCE)
      states.push(...page.groups)
      more = page.more && page.groups.length > 0
    }
    return states
  }

  async #open(): Promise<void> {
    await this.#kept.open()
    this.#options.broker.watchTopics((name) => {
      // Somebody else makes a queue anew: what was said of the old one is void.
      if (this.#creating.has(name)) return
      this.#unfinished.delete(name)
      this.#kept.forget(name)
    })
    this.isOpen = true
  }

  async #make(queue: string): Promise<void> {
    const config = this.defaults
    this.#creating.add(queue)
    try {
      await this.#kept.put(queue, { config, starts: {}, isMade: true })
      await this.#options.broker.createTopic(queue, topicSettingsOf(config, null))
    } catch (error) {
      if (error instanceof LeveretError && error.code === 'LVT_TOPIC_CONFLICT')
        throw new FlokiFault(QUEUE_EXISTS, { cause: error })
      throw error
    } finally {
      this.#creating.delete(queue)
    }
  }

  /** Unless it is there. Throws FlokiFault. */
  async #makeChannel(queue: string, channel: string): Promise<void> {
    if (this.channelInUse(queue, channel) !== null) return
    // What was said of one that others have deleted is void.
    if (!(await this.#hasChannel(queue, channel))) await this.#kept.putStart(queue, channel, 0)
    await this.#seat(queue, channel).catch((error: unknown) => {
      // Names were checked, so that only their number can be wrong.
      if (!(error instanceof InvalidArgumentError)) throw error
      throw new FlokiLimit(`ERR ${error.message}`, { cause: error })
    })
  }

  /** The channel with its group, which is made if it is missing, and begins with the next message. */
  async #seat(queue: string, name: string): Promise<Channel> {
    const { broker, clock, fetchBytesMax } = this.#options
    const context: ChannelContext = {
      clock,
      draw: this.#draw,
      fetchBytesMax,
      ended: (channel) => {
        const channels = this.#channels.get(queue)
        if (channels?.get(channel.name) === channel) channels.delete(channel.name)
      },
    }
    const channel = new Channel(name, context)
    channel.skipBelow = this.#kept.of(queue).starts[name] ?? 0
    const channels = this.#channels.get(queue) ?? new Map<string, Channel>()
    this.#channels.set(queue, channels)
    channels.set(name, channel)
    try {
      channel.sit(await broker.join(queue, name, this.#how(queue), channel))
    } catch (error) {
      channels.delete(name)
      throw error
    }
    return channel
  }

  #how(queue: string): JoinHow {
    const { message_timeout: seconds } = this.config(queue) ?? this.defaults
    const { deliveryBytesMax } = this.#options
    return {
      member: 'floki',
      start: { kind: 'latest' },
      ackWaitMs: seconds * 1_000,
      backoffMs: [],
      deliveryBytesMax,
      settlesLikeTopic: true,
    }
  }

  /** A group is as the last one says who comes. */
  async #tellTimeout(queue: string, name: string): Promise<void> {
    const nobody = {
      delivered: () => undefined,
      expired: () => undefined,
      lost: () => undefined,
      ended: () => undefined,
    }
    const member = await this.#options.broker.join(queue, name, this.#how(queue), nobody)
    member.leave()
  }

  async #seek(queue: string, name: string, start: Start, skipBelow: number, keepsLeases = false): Promise<void> {
    const channel = this.channelInUse(queue, name)
    // What the seek may fail to pass over is not, nor what was in flight before it and comes again after a crash.
    channel?.sought(Math.min(channel.skipBelow, skipBelow))
    await this.#options.broker.seekGroup(queue, name, start, 0, keepsLeases)
    channel?.sought(skipBelow)
    await this.#kept.putStart(queue, name, skipBelow)
  }

  async #requireChannel(queue: string, name: string): Promise<void> {
    this.require(queue)
    if (!(await this.#hasChannel(queue, name))) throw new FlokiFault(NO_CHANNEL)
  }

  async #hasChannel(queue: string, name: string): Promise<boolean> {
    if (!this.has(queue)) return false
    if (this.channelInUse(queue, name) !== null) return true
    try {
      return (await this.#options.broker.describeGroup(queue, name)).mode === 'shared'
    } catch (error) {
      if (error instanceof GroupNotFoundError || error instanceof TopicNotFoundError) return false
      throw error
    }
  }
}

function isQueue(name: string, settings: TopicSettings): boolean {
  return canBeQueue(settings) && isQueueName(name)
}

function canBeQueue({ partitions, retention }: TopicSettings): boolean {
  return partitions === 1 && retention !== 'none'
}
