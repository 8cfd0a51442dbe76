/**
 * Which topics there should be, after every create, change and drop that was asked for and those that were answered.
 * Settings carry a number that no other call used, so that a topic that is found says which call it is from.
 */
import assert from 'node:assert/strict'
import type { TopicSettings } from '../../../src/model/topic.js'
import { type Ending, PartitionHistory } from '../../helpers/log-history.js'
import type { Life } from './simulation-life.js'

/** One topic from its creation to its drop. */
export class TopicModel {
  readonly name: string
  /** As the engine has them now. */
  settings: TopicSettings
  readonly partitions = new Map<number, PartitionHistory>()
  /** Changes of its settings that have not been answered. */
  changing = 0
  /** Producer to the sequences that were acknowledged at `disk`, with their offsets. */
  readonly sequences = new Map<string, { readonly sequence: number; readonly base: number; readonly index: number }[]>()

  constructor(name: string, settings: TopicSettings) {
    this.name = name
    this.settings = settings
  }

  history(index: number): PartitionHistory {
    const history = this.partitions.get(index) ?? new PartitionHistory()
    this.partitions.set(index, history)
    return history
  }
}

/** What a name stands for after a call. */
interface State {
  readonly model: TopicModel | null
  readonly settings: TopicSettings | null
}

interface Call extends State {
  isAnswered: boolean
}

const ABSENT: State = { model: null, settings: null }

export class TopicModels {
  /** By name, what the engine of this life has. */
  readonly now = new Map<string, TopicModel>()
  #before = new Map<string, State>()
  #calls = new Map<string, Call[]>()

  /** A create, a change or a drop was asked for. Call `isAnswered` when it resolved. */
  called(name: string, model: TopicModel | null, settings: TopicSettings | null): Call {
    const call: Call = { model, settings, isAnswered: false }
    this.#calls.set(name, [...(this.#calls.get(name) ?? []), call])
    if (model === null) this.now.delete(name)
    else this.now.set(name, model)
    return call
  }

  /** The catalog has what was answered and nothing that was not asked for; then all that the topics hold. */
  async verify(life: Life, ending: Ending): Promise<void> {
    const found = new Map<string, TopicSettings>()
    for (const name of await life.engine.topics()) {
      found.set(name, (await life.engine.topic(name))?.settings as TopicSettings)
    }
    const states = new Map<string, State>()
    for (const name of new Set([...this.#before.keys(), ...this.#calls.keys(), ...found.keys()])) {
      states.set(name, this.#stateOf(name, found.get(name) ?? null))
    }
    for (const [name, { model, settings }] of states) {
      if (model === null || settings === null) continue
      try {
        await verifyTopic(life, model, ending)
      } catch (error) {
        throw new Error(`topic ${name}: ${error instanceof Error ? error.message : error}`, { cause: error })
      }
    }
    this.#before = states
    this.#calls = new Map()
    this.now.clear()
    for (const [name, { model, settings }] of states) {
      if (model === null || settings === null) continue
      model.settings = settings
      model.changing = 0
      this.now.set(name, model)
    }
  }

  #stateOf(name: string, found: TopicSettings | null): State {
    const calls = this.#calls.get(name) ?? []
    const answered = calls.findLastIndex(({ isAnswered }) => isAnswered)
    const possible: State[] = [answered < 0 ? (this.#before.get(name) ?? ABSENT) : (calls[answered] as Call)]
    possible.push(...calls.slice(answered + 1))
    const state = possible.find(({ settings }) => settings?.ringRecords === found?.ringRecords)
    const expected = possible.map(({ settings }) => settings?.ringRecords ?? 'none').join(' or ')
    assert.ok(state !== undefined, `topic ${name} should be ${expected}, and is ${found?.ringRecords ?? 'none'}`)
    if (found !== null) assert.deepEqual(found, state.settings)
    return state
  }
}

async function verifyTopic(life: Life, model: TopicModel, ending: Ending): Promise<void> {
  for (const [index, history] of model.partitions) {
    if (index >= ((await life.engine.topic(model.name))?.settings.partitions ?? 0)) continue
    const log = await life.store.partition(model.name, index)
    try {
      await history.verify(log, ending)
    } catch (error) {
      const problems = life.engine.problems().map(({ kind, message }) => `${kind}: ${message}`)
      const text = `partition ${index} after ${ending}: ${error instanceof Error ? error.message : error}`
      throw new Error(`${text}\n${problems.join('\n')}`, { cause: error })
    }
  }
  for (const [producer, taken] of model.sequences) {
    for (const { sequence, base, index } of taken.slice(-5)) {
      // What was dropped when the topic kept nothing took its sequences with it.
      if (model.history(index).hasPassed) continue
      const how = { durability: null, expectedOffset: null, producer, sequence }
      const receipt = await life.engine.publish(model.name, index, { body: Buffer.from([0]), count: 1 }, how)
      assert.ok(receipt.replayed, `sequence ${sequence} of ${producer}, appended at ${base}, is forgotten`)
      assert.equal(receipt.baseOffset, base)
    }
  }
}
