/**
 * Counters that the hot path bumps as plain numbers, and gauges computed only when somebody looks.
 * Names follow `leveret_<room>_<noun>_<unit>[_total]`.
 */

/** A number that only grows; bump `value` in place. */
export interface Counter {
  value: number
}

export interface MetricSample {
  readonly name: string
  readonly kind: 'counter' | 'gauge'
  readonly help: string
  readonly value: number
}

interface Metric {
  readonly kind: 'counter' | 'gauge'
  readonly help: string
  readonly read: () => number
}

export class MetricsRegistry {
  readonly #metrics = new Map<string, Metric>()
  readonly #counters = new Map<string, Counter>()

  /** The counter of this name; parts that share a name share the counter. */
  counter(name: string, help: string): Counter {
    const known = this.#counters.get(name)
    if (known !== undefined) return known
    const counter: Counter = { value: 0 }
    this.#counters.set(name, counter)
    this.#metrics.set(name, { kind: 'counter', help, read: () => counter.value })
    return counter
  }

  /** A value read from its owner at scrape time; a second gauge of one name replaces the first. */
  gauge(name: string, help: string, read: () => number): void {
    this.#metrics.set(name, { kind: 'gauge', help, read })
  }

  /** A count that its owner keeps, read at scrape time; a second one of a name replaces the first. */
  total(name: string, help: string, read: () => number): void {
    this.#metrics.set(name, { kind: 'counter', help, read })
  }

  samples(): MetricSample[] {
    return [...this.#metrics].map(([name, { kind, help, read }]) => ({ name, kind, help, value: read() }))
  }
}
