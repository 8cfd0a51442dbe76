/**
 * What is wrong with the data, for operators: each trouble once, a bounded number, and a line in the log when it is new.
 */
import { createLog } from '../../common/log.js'
import type { EngineProblem } from '../engine.js'

const PROBLEMS_MAX = 1_000

const log = createLog('storage:log:problems')

export class Problems {
  readonly #problems = new Map<string, EngineProblem>()

  get all(): readonly EngineProblem[] {
    return [...this.#problems.values()]
  }

  report(problem: EngineProblem): void {
    const key = keyOf(problem.kind, problem.topic, problem.partition, problem.kind === 'full' ? 0 : problem.from)
    if (this.#problems.has(key)) return
    log('%s: topic %j, partition %d: %s', problem.kind, problem.topic, problem.partition, problem.message)
    // At the limit the first ones stay: they are nearest to the cause.
    if (this.#problems.size < PROBLEMS_MAX) this.#problems.set(key, problem)
  }

  /** It is over. */
  resolved(kind: EngineProblem['kind'], topic: string, partition: number): void {
    this.#problems.delete(keyOf(kind, topic, partition, 0))
  }

  forget(topic: string): void {
    for (const [key, problem] of this.#problems) if (problem.topic === topic) this.#problems.delete(key)
  }
}

function keyOf(kind: EngineProblem['kind'], topic: string, partition: number, from: number): string {
  return `${kind}/${partition}/${from}/${topic}`
}
