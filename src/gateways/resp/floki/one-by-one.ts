/**
 * What is done to one thing is done in turn, and to different things side by side. Knows names only.
 */
export class OneByOne {
  /** The last of what is to be done, by name. */
  readonly #last = new Map<string, Promise<unknown>>()

  /** Names of which something is still to be done. */
  get busy(): number {
    return this.#last.size
  }

  /** Act when all that was asked for under this name before is over, however it ended. */
  async run<T>(name: string, act: () => Promise<T>): Promise<T> {
    const before = this.#last.get(name)
    const acting = (async () => {
      await before?.catch(() => undefined)
      return await act()
    })()
    this.#last.set(name, acting)
    try {
      return await acting
    } finally {
      if (this.#last.get(name) === acting) this.#last.delete(name)
    }
  }
}
