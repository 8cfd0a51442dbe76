/**
 * Which publishes to a partition with a compaction window repeat an earlier one by its sequence: those must not be held
 * against the keys that they accepted themselves the first time. The engine knows what was handed to it; this knows
 * what is on its way there.
 */
import type { Engine, PublishHow } from '../storage/engine.js'
import type { PendingPublish } from './publish-group.js'
import type { TopicFacts } from './topic-facts.js'

export class RepeatedSequences {
  readonly #engine: Engine
  readonly #topic: TopicFacts
  readonly #partition: number
  readonly #underWay = new Set<string>()

  constructor(engine: Engine, topic: TopicFacts, partition: number) {
    this.#engine = engine
    this.#topic = topic
    this.#partition = partition
  }

  /** Whether a publish taken now repeats one; if not, it is under way until `settled`. */
  take(how: PublishHow): boolean {
    if (how.sequence === null) return false
    if (this.isKnown(how)) return true
    this.#underWay.add(textOf(how))
    return false
  }

  isKnown(how: PublishHow): boolean {
    const { producer, sequence } = how
    if (sequence === null) return false
    return this.#underWay.has(textOf(how)) || this.#engine.knows(this.#topic.name, this.#partition, producer, sequence)
  }

  settled(publishes: readonly PendingPublish[]): void {
    if (this.#underWay.size === 0) return
    for (const { how, isRepeated } of publishes) if (!isRepeated) this.#underWay.delete(textOf(how))
  }
}

function textOf({ producer, sequence }: PublishHow): string {
  return `${sequence} ${producer}`
}
