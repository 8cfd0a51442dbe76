/**
 * How far somebody has come in each stream of a subscription, in memory or in a file as well: where to go on after a break, and
 * after the next start.
 *
 *   file = {"spec": "orders:0", "next": {"orders": 17}}
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { InvalidArgumentError } from '../../common/errors.js'

/** A server takes so many words in a request, and a few more. */
const SPECS_MAX = 4000

export class Positions {
  readonly #path: string | null
  readonly #spec: string
  readonly #next: Map<string, number>

  private constructor(path: string | null, spec: string, next: Map<string, number>) {
    this.#path = path
    this.#spec = spec
    this.#next = next
  }

  /** Without a path they are kept in memory. Throws InvalidArgumentError if the file is of another subscription. */
  static open(path: string | null, spec: string): Positions {
    return new Positions(path, spec, path === null ? new Map() : read(path, spec))
  }

  /** Number of the next event; null before anything is known of the stream. */
  next(stream: string): number | null {
    return this.#next.get(stream) ?? null
  }

  get isEmpty(): boolean {
    return this.#next.size === 0
  }

  /** Whether nothing is left of a range with an end. Of all streams nobody knows: another one may come. */
  get isDone(): boolean {
    const [name = '', from, to] = this.#spec.split(':')
    return name !== '$all' && to !== undefined && (this.next(name) ?? Number(from)) >= Number(to)
  }

  /** What the server is asked for: the spec, or what is left of it. Streams that are too many begin where the spec does. */
  specs(): string[] {
    const [name = '', , to] = this.#spec.split(':')
    const rests = [...this.#next].slice(0, SPECS_MAX).map(([stream, next]) => `${stream}:${restOf(next, to)}`)
    return name === '$all' || rests.length === 0 ? [this.#spec, ...rests] : rests
  }

  /** Streams and their next events. Kept when this returns. */
  moveTo(nexts: readonly (readonly [stream: string, next: number])[]): void {
    for (const [stream, next] of nexts) this.#next.set(stream, next)
    if (this.#path === null) return
    const text = `${JSON.stringify({ spec: this.#spec, next: Object.fromEntries(this.#next) })}\n`
    const unfinished = `${this.#path}.new`
    const file = openSync(unfinished, 'w')
    try {
      writeSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(unfinished, this.#path)
  }
}

function restOf(next: number, to: string | undefined): string {
  return to === undefined ? `${next}` : `${Math.min(next, Number(to))}:${to}`
}

function read(path: string, spec: string): Map<string, number> {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw error
  }
  const found = parse(text)
  if (found === null) throw new InvalidArgumentError(`${path} holds no positions`)
  if (found.spec === spec) return found.next
  throw new InvalidArgumentError(`${path} holds the positions of "${found.spec}", not of "${spec}"`)
}

function parse(text: string): { spec: unknown; next: Map<string, number> } | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null // what it is instead, nobody needs to know
  }
  if (typeof value !== 'object' || value === null || !('spec' in value) || !('next' in value)) return null
  const { spec, next } = value
  if (typeof next !== 'object' || next === null) return null
  const entries = Object.entries(next)
  return entries.every(([, number]) => Number.isSafeInteger(number) && number >= 0)
    ? { spec, next: new Map(entries) }
    : null
}
