/**
 * What a connection has subscribed to, spec by spec: one stream, or all there are. Knows which specs are the same, and what
 * `$all` says of those beside it.
 */
import type { SubscriptionLimitError } from '../../../common/errors.js'
import type { Delivery, SpecFacts } from './delivery.js'
import type { FrameMode } from './event-frames.js'
import { ALL_STREAMS, type StreamSpec } from './stream-spec.js'

/** A spec that may still deliver. */
export interface Active extends SpecFacts {
  readonly range: StreamSpec
  /** How many it is of those that are open. */
  places: number
  /** Of a spec that names a stream, until it is done. */
  delivery: Delivery | null
  /** Of `$all`. */
  readonly all: AllStreams | null
  /** Ends the wait for streams that are made; of `$all`, and of a stream that was deleted. */
  unwatch: (() => void) | null
  /** The subscriber was told: its events may follow. */
  isConfirmed: boolean
}

export interface AllStreams {
  /** By stream; those that there are. */
  readonly deliveries: Map<string, Delivery>
  /** Streams with specs of their own in the same request. */
  readonly except: ReadonlySet<string>
  /** A stream came that cannot be followed. */
  failure: SubscriptionLimitError | null
}

/** The same for specs that ask for the same. */
export function keyOf({ name, from, to }: StreamSpec): string {
  return `${name}:${from ?? ''}:${to ?? ''}`
}

/** Beside `$all` a stream is followed from where its own spec says, and no further than all others. */
export function boundedBy(all: StreamSpec, spec: StreamSpec): StreamSpec {
  return spec.name === ALL_STREAMS ? spec : { ...spec, to: lower(spec.to, all.to) }
}

/** `named` are streams with specs of their own in the same request. */
export function activeOf(range: StreamSpec, mode: FrameMode, named: ReadonlySet<string>): Active {
  const isAll = range.name === ALL_STREAMS
  const all: AllStreams | null = isAll ? { deliveries: new Map(), except: named, failure: null } : null
  const { text } = range
  return { key: keyOf(range), text, mode, range, places: 0, delivery: null, all, unwatch: null, isConfirmed: false }
}

/** There was nothing to open. */
export function isFinished({ delivery, all }: Active): boolean {
  return delivery === null && all === null
}

export function deliveriesOf({ delivery, all }: Active): Iterable<Delivery> {
  return all === null ? (delivery === null ? [] : [delivery]) : all.deliveries.values()
}

function lower(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b)
}
