/**
 * Messages of a subscription as they come: the JSON that the MeiliES dialect sends to libraries of Redis.
 */

export class MessageInbox {
  readonly #messages: unknown[] = []
  #wake: (() => void) | null = null

  readonly receive = (payload: string): void => {
    this.#messages.push(JSON.parse(payload))
    this.#wake?.()
  }

  get size(): number {
    return this.#messages.length
  }

  async take(count: number): Promise<unknown[]> {
    while (this.#messages.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.#messages.splice(0, count)
  }
}
