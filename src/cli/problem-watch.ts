/**
 * Trouble with stored records, told when it begins and when it is over, rather than when somebody misses something. Used
 * by `leveret serve` for as long as it runs.
 */
import type { Clock, Timer } from '../common/clock.js'
import { brief } from '../common/log.js'

/** What is told of a problem. */
export interface Problem {
  readonly kind: string
  /** Empty for trouble with the store as a whole. */
  readonly topic: string
  readonly partition: number
  readonly message: string
}

const LOOK_MS = 1_000
/** Of one sort in one look; the rest is counted. */
const LINES_MAX = 20
/** A disk on the edge is full and not full by turns: that is one problem, and over when it stayed away for so long. */
const LOOKS_UNTIL_OVER = 3

export class ProblemWatch {
  readonly #problems: () => readonly Problem[]
  readonly #print: (line: string) => void
  /** The lines of what is not over, with the looks for which each has been away. */
  readonly #away = new Map<string, number>()
  #timer: Timer | null = null

  /** `problems` is asked for all there are now, a bounded number. `print` takes a line without its end. */
  constructor(problems: () => readonly Problem[], print: (line: string) => void) {
    this.#problems = problems
    this.#print = print
  }

  /** Look now, and once a second. */
  start(clock: Clock): void {
    this.#look()
    this.#timer = clock.every(LOOK_MS, () => this.#look())
  }

  /** Look for the last time. */
  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#look()
  }

  #look(): void {
    const present = new Set(this.#problems().map(lineOf))
    const fresh = [...present].filter((line) => !this.#away.has(line))
    const over: string[] = []
    for (const [line, looks] of this.#away) {
      if (present.has(line)) this.#away.set(line, 0)
      else if (looks + 1 < LOOKS_UNTIL_OVER) this.#away.set(line, looks + 1)
      else {
        this.#away.delete(line)
        over.push(`over: ${line}`)
      }
    }
    for (const line of fresh) this.#away.set(line, 0)
    this.#tell(fresh, 'more of the like')
    this.#tell(over, 'more are over')
  }

  #tell(lines: readonly string[], more: string): void {
    for (const line of lines.slice(0, LINES_MAX)) this.#print(line)
    if (lines.length > LINES_MAX) this.#print(`and ${lines.length - LINES_MAX} ${more}`)
  }
}

function lineOf({ kind, topic, partition, message }: Problem): string {
  const where = topic === '' ? 'the data directory' : `topic ${brief(topic)}, partition ${partition}`
  return `${kind}: ${where}: ${message}`
}
