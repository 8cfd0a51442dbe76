/**
 * Work gathered over one turn of the event loop. Every socket that is readable in a turn is read before the turn
 * ends, so what arrives together is appended together and written together: one append per partition, one write
 * per connection. A Turn belongs to one broker.
 */

/** Something with work to do at most once a turn. The part itself remembers that it is scheduled. */
export interface TurnTask {
  runTurn(): void
}

export class Turn {
  #atEnd: TurnTask[] = []
  #afterwards: TurnTask[] = []
  #endScheduled = false
  #afterwardsScheduled = false
  readonly #runAtEnd = () => this.#drainAtEnd()
  readonly #runAfterwards = () => this.#drainAfterwards()

  /** Run when every socket of this turn was read: the place to append what arrived. */
  atEnd(task: TurnTask): void {
    this.#atEnd.push(task)
    if (this.#endScheduled) return
    this.#endScheduled = true
    setImmediate(this.#runAtEnd)
  }

  /** Run as soon as the current callback and its promises are done: the place to deliver and to flush. */
  afterwards(task: TurnTask): void {
    this.#afterwards.push(task)
    if (this.#afterwardsScheduled) return
    this.#afterwardsScheduled = true
    process.nextTick(this.#runAfterwards)
  }

  /** Resolves when the current turn's work is done. */
  next(): Promise<void> {
    return new Promise((resolve) => this.atEnd({ runTurn: resolve }))
  }

  #drainAtEnd(): void {
    this.#endScheduled = false
    const tasks = this.#atEnd
    this.#atEnd = []
    for (const task of tasks) task.runTurn()
  }

  #drainAfterwards(): void {
    const tasks = this.#afterwards
    // A task may schedule another of the same phase (a pump schedules its connection's flush): take it along.
    for (let index = 0; index < tasks.length; index++) tasks[index]?.runTurn()
    this.#afterwards = []
    this.#afterwardsScheduled = false
  }
}
