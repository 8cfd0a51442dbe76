/**
 * What is done for one client, in an order that makes sense to it: what may go side by side does, and what has to come after
 * everything before it waits for that, and is waited for.
 */

/** So many are waited for one by one; what is done is not kept for ever. */
const BESIDE_MAX = 64

interface Line {
  /** Done when everything up to the last one that goes alone is. */
  alone: Promise<void>
  beside: Promise<void>[]
  running: number
}

export class Order {
  readonly #lines = new Map<string, Line>()
  #running = 0
  readonly #onSettled: (() => void)[] = []

  /** What is begun and not done, for all clients. */
  get running(): number {
    return this.#running
  }

  /** Resolves as soon as nothing is under way. */
  settled(): Promise<void> {
    if (this.#running === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onSettled.push(resolve)
    })
  }

  /** After everything that was to go alone. `work` must not fail. */
  beside(client: string, work: () => Promise<void>): void {
    const line = this.#line(client)
    line.beside.push(this.#run(client, line, line.alone, work))
    if (line.beside.length > BESIDE_MAX) line.beside = [Promise.all(line.beside).then(() => undefined)]
  }

  /** After everything, and before all that comes. `work` must not fail. */
  alone(client: string, work: () => Promise<void>): void {
    const line = this.#line(client)
    const before = line.beside.length === 0 ? line.alone : Promise.all([line.alone, ...line.beside])
    line.beside = []
    line.alone = this.#run(client, line, before, work)
  }

  /** In nobody's way and at once; it is only counted. `work` must not fail. */
  async aside(work: () => Promise<void>): Promise<void> {
    this.#running++
    try {
      await work()
    } finally {
      this.#done()
    }
  }

  #line(client: string): Line {
    let line = this.#lines.get(client)
    if (line === undefined) {
      line = { alone: Promise.resolve(), beside: [], running: 0 }
      this.#lines.set(client, line)
    }
    return line
  }

  async #run(client: string, line: Line, before: Promise<unknown>, work: () => Promise<void>): Promise<void> {
    line.running++
    this.#running++
    try {
      await before
      await work()
    } finally {
      if (--line.running === 0) this.#lines.delete(client)
      this.#done()
    }
  }

  #done(): void {
    if (--this.#running > 0) return
    for (const resolve of this.#onSettled.splice(0)) resolve()
  }
}
