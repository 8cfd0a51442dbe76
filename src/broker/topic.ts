/**
 * A topic as the broker holds it: name, settings, and the controllers of its partitions while they are in use.
 * Kept small: a server may hold a million of them.
 */
import type { TopicSettings } from '../model/topic.js'
import type { TopicController } from './topic-controller.js'
import type { TopicFacts } from './topic-facts.js'

export class Topic implements TopicFacts {
  readonly name: string
  settings: TopicSettings
  /** One per partition while the topic is in use, else null. */
  controllers: readonly TopicController[] | null = null
  /** Set while the controllers are being made, so that it happens once. */
  opening: Promise<void> | null = null
  isDeleted = false
  /** It has had controllers since the server started. */
  wasOpened = false
  /** Published or subscribed to since housekeeping last looked. */
  wasUsed = true
  /** Monotonic time of the last use, as housekeeping saw it: for `inactivityMs` and for dropping idle controllers. */
  lastUsedMs: number
  /** Settings are being changed: partitions that the engine has may still be on their way here. */
  changing: Promise<void> | null = null
  /** Seats in groups that are taken. */
  members = 0
  /** Turns of the unkeyed publishes. */
  roundRobin = 0
  #nameBytes: Buffer | null = null

  constructor(name: string, settings: TopicSettings, nowMs: number) {
    this.name = name
    this.settings = settings
    this.lastUsedMs = nowMs
  }

  get nameBytes(): Buffer {
    this.#nameBytes ??= Buffer.from(this.name)
    return this.#nameBytes
  }

  /** Null while more may be published; else resolves when there is room again. */
  room(): Promise<void> | null {
    for (const controller of this.controllers ?? []) {
      const room = controller.room()
      if (room !== null) return room
    }
    return null
  }

  get keepsRecords(): boolean {
    return this.settings.retention !== 'none'
  }

  get retentionAgeMs(): number | null {
    const { retention } = this.settings
    return retention === 'none' ? null : retention.ageMs
  }

  get subscribers(): number {
    let most = 0
    for (const controller of this.controllers ?? []) most = Math.max(most, controller.subscribers)
    return most + this.members
  }
}
