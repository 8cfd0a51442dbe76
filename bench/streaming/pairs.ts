/**
 * leveret as a NATS Streaming server and JetStream side by side: both run, and take turns within each run, so that what else the
 * machine does hits both alike. What counts is the ratio of two neighbours; its spread is that of the runs.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { Disposables } from '../harness/disposables.js'
import { type Spread, spreadOrNull } from '../harness/statistics.js'
import { createStream, startJetStream } from '../peers/jetstream.js'

export type Side = 'leveret' | 'jetstream'
export const SIDES: readonly Side[] = ['leveret', 'jetstream']

/** What an acknowledgement means on each side. */
export const DURABILITY: Readonly<Record<Side, string>> = {
  leveret: 'leveret, NATS Streaming (acks synced)',
  jetstream: 'JetStream, default (synced every 2 min)',
}

export interface Measured {
  readonly perSecond: number
  readonly serverNs: number | null
}

export interface PairRow {
  /** What both did. */
  readonly what: string
  readonly perSecond: Readonly<Record<Side, Spread | null>>
  /** Processor time of the server for one message, in nanoseconds. */
  readonly serverNs: Readonly<Record<Side, Spread | null>>
  /** leveret's rate over that of its neighbour, run by run. */
  readonly ratio: Spread | null
  readonly problems: readonly string[]
}

/** Both servers, each in a folder of its own; without JetStream only leveret. */
export class Pair implements AsyncDisposable {
  readonly #parts: Disposables
  readonly #servers: Readonly<Record<Side, ChildServer | null>>

  private constructor(parts: Disposables, leveret: ChildServer, jetstream: ChildServer | null) {
    this.#parts = parts
    this.#servers = { leveret, jetstream }
  }

  static async open(bench: Bench, label: string): Promise<Pair> {
    const parts = new Disposables()
    try {
      const leveret = parts.use(await bench.startLeveret(label, parts.use(bench.folder()).path, 'nats-streaming'))
      if (bench.jetstream === null) return new Pair(parts, leveret, null)
      const folder = parts.use(bench.folder())
      const jetstream = parts.use(await startJetStream(bench.jetstream, folder.path, 'default'))
      await createStream(jetstream.port)
      return new Pair(parts, leveret, jetstream)
    } catch (error) {
      await parts[Symbol.asyncDispose]()
      throw error
    }
  }

  server(side: Side): ChildServer | null {
    return this.#servers[side]
  }

  /** Ends before the servers do. */
  use<T extends AsyncDisposable>(thing: T): T {
    return this.#parts.use(thing)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts[Symbol.asyncDispose]()
  }
}

/** The runs of one row. */
export class PairSamples {
  readonly #bench: Bench
  readonly #what: string
  readonly #measured: Record<Side, Measured[]> = { leveret: [], jetstream: [] }
  readonly #ratios: number[] = []
  readonly #problems: string[] = []

  constructor(bench: Bench, what: string) {
    this.#bench = bench
    this.#what = what
  }

  get isWanted(): boolean {
    return this.#bench.filter.test(this.#what)
  }

  /** One run: both, and every other time the peer first. */
  async take(run: number, pair: Pair, measure: (side: Side, server: ChildServer) => Promise<Measured>): Promise<void> {
    const order = run % 2 === 0 ? SIDES : SIDES.toReversed()
    const taken: Partial<Record<Side, Measured>> = {}
    for (const side of order) {
      const server = pair.server(side)
      if (server === null) continue
      const label = `${side} ${this.#what}`
      const each = await this.#bench.attempt(label, this.#problems, () => measure(side, server))
      if (each === null) continue
      this.#measured[side].push(each)
      taken[side] = each
      const cost = each.serverNs === null ? '' : `, ${Math.round(each.serverNs)} ns of the server each`
      this.#bench.say(`  ${label}: ${Math.round(each.perSecond).toLocaleString('en')} messages/s${cost}`)
    }
    const { leveret, jetstream } = taken
    if (leveret !== undefined && jetstream !== undefined) this.#ratios.push(leveret.perSecond / jetstream.perSecond)
  }

  /** The run could not even begin. */
  failed(problem: string): void {
    this.#problems.push(problem)
  }

  row(): PairRow {
    const rates = (side: Side): Spread | null => spreadOrNull(this.#measured[side].map(({ perSecond }) => perSecond))
    const costs = (side: Side): Spread | null =>
      spreadOrNull(this.#measured[side].flatMap(({ serverNs }) => serverNs ?? []))
    return {
      what: this.#what,
      perSecond: { leveret: rates('leveret'), jetstream: rates('jetstream') },
      serverNs: { leveret: costs('leveret'), jetstream: costs('jetstream') },
      ratio: spreadOrNull(this.#ratios),
      problems: this.#problems,
    }
  }
}
