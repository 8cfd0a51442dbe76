/**
 * What the gateway has to know of its queues after a restart and no topic has a place for: values of JSON, by key.
 * Written before they are in use; read once, before anything else.
 */
import type { Broker } from '../../../broker/broker.js'
import type { Clock } from '../../../common/clock.js'
import { StateTopic } from '../../state-topic.js'

/** No queue can be called that, and no stream of MeiliES. */
const TOPIC = '__leveret.floki'

export class SettingsLog {
  readonly #topic: StateTopic
  readonly #values = new Map<string, unknown>()

  constructor(broker: Broker, clock: Clock) {
    this.#topic = new StateTopic({ broker, clock, name: TOPIC })
  }

  async open(): Promise<void> {
    this.#values.clear()
    for (const [key, value] of await this.#topic.open()) this.#set(key, parsed(value))
  }

  get(key: string): unknown {
    return this.#values.get(key) ?? null
  }

  /** Keep `value` under `key`, or (null) nothing any more. Resolves when it is as safe as the store can make it. */
  async put(key: string, value: unknown): Promise<void> {
    if (value === null && !this.#values.has(key)) return
    await this.#topic.write([{ key, value: value === null ? null : Buffer.from(JSON.stringify(value)) }])
    this.#set(key, value)
  }

  /** What is there is of a queue that is gone. */
  forget(key: string): void {
    this.#values.delete(key)
  }

  #set(key: string, value: unknown): void {
    if (value === null) this.#values.delete(key)
    else this.#values.set(key, value)
  }
}

/** Others may have written anything there. */
function parsed(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString())
  } catch {
    return null
  }
}
