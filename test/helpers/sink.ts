/** A publisher's ear: what the broker tells it, by token. */
import type { PublishSink } from '../../src/broker/publish.js'
import type { TopicFacts } from '../../src/broker/topic-facts.js'
import type { LeveretError } from '../../src/common/errors.js'
import type { PublishReceipt } from '../../src/model/receipt.js'

export class RecordingSink implements PublishSink {
  readonly told = new Map<number, PublishReceipt | LeveretError>()
  readonly order: number[] = []
  readonly #waiting: (() => void)[] = []

  /** The receipts are copied: the broker fills the next one into the same object. */
  published(token: number, _topic: TopicFacts, receipt: PublishReceipt): void {
    this.#tell(token, { ...receipt })
  }

  publishFailed(token: number, _topic: TopicFacts, error: LeveretError): void {
    this.#tell(token, error)
  }

  async receipt(token: number): Promise<PublishReceipt> {
    const told = await this.#answer(token)
    if (told instanceof Error) throw told
    return told
  }

  async code(token: number): Promise<string> {
    const told = await this.#answer(token)
    return told instanceof Error ? told.code : 'published'
  }

  async #answer(token: number): Promise<PublishReceipt | LeveretError> {
    for (;;) {
      const told = this.told.get(token)
      if (told !== undefined) return told
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #tell(token: number, told: PublishReceipt | LeveretError): void {
    if (this.told.has(token)) throw new Error(`token ${token} was told twice`)
    this.told.set(token, told)
    this.order.push(token)
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
