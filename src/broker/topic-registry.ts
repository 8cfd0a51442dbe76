/**
 * Name to topic: created exactly once whoever asks, limited in number, described and listed. Opens the controllers
 * of a topic when it is used and lets go of them when it is idle.
 */
import {
  ClosedError,
  InvalidArgumentError,
  PartitionNotFoundError,
  TopicConflictError,
  TopicLimitError,
  TopicNotFoundError,
} from '../common/errors.js'
import { namesAfter } from '../common/name-page.js'
import {
  differingSettings,
  sameSettings,
  type TopicSettings,
  validateTopicName,
  validateTopicSettings,
} from '../model/topic.js'
import { CompactionWindow } from './compaction.js'
import { rebuildWindow } from './rebuild-window.js'
import { Topic } from './topic.js'
import { type ControllerContext, TopicController } from './topic-controller.js'
import { TopicRing } from './topic-ring.js'

/** A topic without retention keeps its ring this long after its last use, for readers that come back. */
const IDLE_MS = 60_000
/** Topics looked at in one round of housekeeping. */
const SWEEP_TOPICS_MAX = 20_000

/** Told by name; what is there now may be another topic of that name. */
interface TopicWatcher {
  readonly created: (name: string) => void
  readonly deleted: (name: string) => void
}

export class TopicRegistry {
  readonly #context: ControllerContext
  readonly #topics = new Map<string, Topic>()
  readonly #creating = new Map<string, Promise<Topic>>()
  readonly #watchers = new Set<TopicWatcher>()
  #sweep: Iterator<Topic> | null = null
  #lastSettings: TopicSettings
  /** Names in order, made when somebody lists and dropped when a topic comes or goes. */
  #sortedNames: readonly string[] | null = null

  constructor(context: ControllerContext) {
    this.#context = context
    this.#lastSettings = context.limits.topicDefaults
  }

  get size(): number {
    return this.#topics.size
  }

  /** Topics with controllers in memory. */
  topics(): IterableIterator<Topic> {
    return this.#topics.values()
  }

  async open(): Promise<void> {
    const { engine, clock } = this.#context
    for (const name of await engine.topics()) {
      const info = await engine.topic(name)
      if (info !== null) this.#topics.set(name, new Topic(name, info.settings, clock.monotonic()))
    }
  }

  get(name: string): Topic | undefined {
    return this.#topics.get(name)
  }

  /** Throws TopicNotFoundError. */
  require(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new TopicNotFoundError(name)
    return topic
  }

  /** The topic, created with the server's default settings if it is missing, with its controllers open. */
  async use(name: string): Promise<Topic> {
    const topic = this.#topics.get(name) ?? (await this.#create(name, this.#context.limits.topicDefaults))
    // Said before the wait, so that housekeeping does not take away what is being opened.
    topic.wasUsed = true
    await this.openControllers(topic)
    return topic
  }

  /** Idempotent; throws TopicConflictError when the topic exists with other settings. */
  async create(name: string, settings: TopicSettings): Promise<Topic> {
    refuseOwnDeadLetters(name, settings)
    const topic = this.#topics.get(name) ?? (await this.#create(name, settings))
    if (sameSettings(topic.settings, settings)) return topic
    const differing = differingSettings(topic.settings, settings).join(', ')
    throw new TopicConflictError(`topic "${name}" exists with other settings: ${differing}`, { topic: name })
  }

  /**
   * Give the topic other settings. Partitions may only grow; subscribers of the moment get the new ones too.
   * Throws TopicNotFoundError, InvalidArgumentError, UnsupportedError.
   */
  async change(name: string, settings: TopicSettings): Promise<void> {
    const topic = this.require(name)
    validateTopicSettings(settings)
    refuseOwnDeadLetters(name, settings)
    const changing = this.#change(topic, settings).finally(() => {
      if (topic.changing === changing) topic.changing = null
    })
    topic.changing = changing
    await changing
  }

  async #change(topic: Topic, settings: TopicSettings): Promise<void> {
    const { name } = topic
    const { partitions } = topic.settings
    if (settings.partitions < partitions) {
      throw new InvalidArgumentError(`topic "${name}" has ${partitions} partitions, and they may only grow`)
    }
    await this.openControllers(topic)
    await this.#context.engine.changeTopic(name, settings)
    if (topic.isDeleted) throw new TopicNotFoundError(name)
    const isWindowChanged = settings.compactionWindowMs !== topic.settings.compactionWindowMs
    topic.settings = settings
    const controllers = [...(topic.controllers ?? [])]
    for (const controller of controllers) controller.settingsChanged(this.#window(settings), isWindowChanged)
    for (let partition = controllers.length; partition < settings.partitions; partition++) {
      controllers.push(await this.#openController(topic, partition))
    }
    topic.controllers = controllers
    const [first] = controllers
    for (const added of controllers.slice(partitions)) if (first !== undefined) added.takeReadersOf(first)
  }

  async delete(name: string): Promise<void> {
    const topic = this.require(name)
    topic.isDeleted = true
    this.#topics.delete(name)
    this.#sortedNames = null
    for (const controller of topic.controllers ?? []) controller.close(new TopicNotFoundError(name))
    topic.controllers = null
    try {
      await this.#context.engine.dropTopic(name)
    } catch (error) {
      await this.#putBack(name)
      throw error
    } finally {
      if (!this.#topics.has(name)) for (const { deleted } of this.#watchers) deleted(name)
    }
  }

  /** What the engine could not drop is still a topic, though nobody reads it any more. */
  async #putBack(name: string): Promise<void> {
    const { engine, clock } = this.#context
    const info = await engine.topic(name)
    if (info === null || this.#topics.has(name) || this.#creating.has(name)) return
    this.#topics.set(name, new Topic(name, info.settings, clock.monotonic()))
    this.#sortedNames = null
  }

  /** Tell of topics that are made, and of those that are gone, until what is returned is called. */
  watch(created: (name: string) => void, deleted: (name: string) => void): () => void {
    // An object of its own, so that the same functions may watch twice.
    const watcher = { created, deleted }
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** At most `limit` names after `after`, in the order of their UTF-16 units, and whether there are more. */
  list(after: string, limit: number): { names: readonly string[]; more: boolean } {
    this.#sortedNames ??= [...this.#topics.keys()].sort()
    return namesAfter(this.#sortedNames, after, limit)
  }

  openControllers(topic: Topic): Promise<void> {
    if (topic.controllers !== null) return Promise.resolve()
    topic.opening ??= this.#openControllers(topic).finally(() => {
      topic.opening = null
    })
    return topic.opening
  }

  /** Of a partition that the engine knows, though the topic may still be about to get it. */
  async controller(topic: Topic, partition: number): Promise<TopicController> {
    for (;;) {
      await this.openControllers(topic)
      const controller = topic.controllers?.[partition]
      if (controller !== undefined) return controller
      if (topic.changing === null)
        throw new PartitionNotFoundError(`topic "${topic.name}" has no partition ${partition}`)
      await topic.changing.catch(() => undefined)
    }
  }

  /** A round of housekeeping over some of the topics: inactive ones go, idle controllers are let go of. */
  async tidy(nowMs: number): Promise<void> {
    this.#sweep ??= this.#topics.values()
    for (let looked = 0; looked < SWEEP_TOPICS_MAX; looked++) {
      const { value: topic, done } = this.#sweep.next()
      if (done === true) {
        this.#sweep = null
        return
      }
      await this.#tidyTopic(topic, nowMs)
    }
  }

  /** Whether every accepted publish is settled, but for those that a slow reader holds back. */
  get isSettled(): boolean {
    for (const topic of this.#topics.values()) {
      for (const controller of topic.controllers ?? []) if (!controller.isSettled) return false
    }
    return true
  }

  close(): void {
    const error = new ClosedError('the broker is closed', 'LVT_SHUTTING_DOWN')
    for (const topic of this.#topics.values()) for (const controller of topic.controllers ?? []) controller.close(error)
    this.#topics.clear()
  }

  async #tidyTopic(topic: Topic, nowMs: number): Promise<void> {
    const { inactivityMs } = topic.settings
    if (topic.wasUsed || topic.subscribers > 0) topic.lastUsedMs = nowMs
    topic.wasUsed = false
    if (inactivityMs !== null && nowMs - topic.lastUsedMs >= inactivityMs) {
      await this.delete(topic.name)
      return
    }
    if (topic.controllers === null) return
    for (const controller of topic.controllers) {
      controller.tidy(nowMs)
      controller.failBlocked(nowMs)
    }
    if (nowMs - topic.lastUsedMs < IDLE_MS || !topic.controllers.every((controller) => controller.isIdle)) return
    topic.controllers = null
  }

  #create(name: string, settings: TopicSettings): Promise<Topic> {
    const known = this.#creating.get(name)
    if (known !== undefined) return known
    const creating = this.#createOnce(name, settings).finally(() => this.#creating.delete(name))
    this.#creating.set(name, creating)
    return creating
  }

  async #createOnce(name: string, settings: TopicSettings): Promise<Topic> {
    validateTopicName(name)
    validateTopicSettings(settings)
    const { engine, clock, limits } = this.#context
    if (this.#topics.size + this.#creating.size >= limits.topicsMax) {
      throw new TopicLimitError(`the server holds ${limits.topicsMax} topics and takes no more`, { topic: name })
    }
    const info = await engine.ensureTopic(name, this.#shared(settings))
    const topic = new Topic(name, info.settings, clock.monotonic())
    this.#topics.set(name, topic)
    this.#sortedNames = null
    for (const { created } of this.#watchers) created(name)
    return topic
  }

  /** Equal settings of topics made one after the other are one object, in the broker and in the engine. */
  #shared(settings: TopicSettings): TopicSettings {
    if (!sameSettings(settings, this.#lastSettings)) this.#lastSettings = settings
    return this.#lastSettings
  }

  async #openControllers(topic: Topic): Promise<void> {
    const controllers: TopicController[] = []
    for (let partition = 0; partition < topic.settings.partitions; partition++) {
      controllers.push(await this.#openController(topic, partition))
    }
    if (topic.isDeleted) throw new TopicNotFoundError(topic.name)
    topic.controllers = controllers
    topic.wasOpened = true
  }

  async #openController(topic: Topic, partition: number): Promise<TopicController> {
    const { settings } = topic
    const { engine } = this.#context
    const { end } = await engine.partition(topic.name, partition)
    const ring = new TopicRing(end, settings.ringBytes, settings.ringRecords)
    const window = this.#window(settings)
    // Controllers are let go of when their windows are empty: only what was before the start is to be found again.
    if (window !== null && topic.keepsRecords && !topic.wasOpened) {
      await rebuildWindow(window, topic, partition, this.#context)
    }
    return new TopicController(topic, partition, ring, window, this.#context)
  }

  #window({ compactionWindowMs }: TopicSettings): CompactionWindow | null {
    return compactionWindowMs === 0
      ? null
      : new CompactionWindow(compactionWindowMs, this.#context.limits.compactionKeysMax)
  }
}

/** What nobody gets any more would come again, without end. */
function refuseOwnDeadLetters(name: string, { deadLetterTopic }: TopicSettings): void {
  if (deadLetterTopic === name)
    throw new InvalidArgumentError('a topic cannot be its own dead-letter topic', { topic: name })
}
