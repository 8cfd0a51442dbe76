/**
 * Names of streams and events, and what a subscription asks for. Pure.
 *
 *   spec = name [ ":" from [ ":" to ] ]      from, to = [ "+" ] digits, at most 2^64-1; to is exclusive
 */
import { InvalidArgumentError } from '../../../common/errors.js'
import { isInternalTopic, validateTopicName } from '../../../model/topic.js'

export const ALL_STREAMS = '$all'
const DECIMAL = /^\+?\d+$/
const NUMBER_MAX = 2n ** 64n - 1n
const LINE_END = /[\r\n]/

export interface StreamSpec {
  /** As it was given: what the subscriber calls it. */
  readonly text: string
  readonly name: string
  /** Number of the first event; null is whatever comes next. No event has a number as large as the largest safe integer. */
  readonly from: number | null
  /** Exclusive; null is without end. */
  readonly to: number | null
}

/** Throws InvalidArgumentError. */
export function parseSpec(text: string): StreamSpec {
  const [name = '', from, to, ...others] = text.split(':')
  if (others.length > 0) throw new InvalidArgumentError('a subscription has at most two numbers')
  if (name !== ALL_STREAMS) requireStreamName(name)
  const first = from === undefined ? null : numberOf(from)
  const end = to === undefined ? null : numberOf(to)
  if (first !== null && end !== null && first > end) {
    throw new InvalidArgumentError('the lower bound is above the upper bound')
  }
  return { text, name, from: safe(first), to: safe(end) }
}

/** Throws InvalidArgumentError unless a stream may have this name. */
export function requireStreamName(name: string): void {
  const complaint = complaintOn(name)
  if (complaint !== null) throw new InvalidArgumentError(complaint)
  validateTopicName(name)
}

/** Throws InvalidArgumentError unless an event may have this name. */
export function requireEventName(name: string): void {
  if (name === '') throw new InvalidArgumentError('an event name cannot be empty')
  if (LINE_END.test(name)) throw new InvalidArgumentError('an event name cannot hold line ends')
}

/** Throws InvalidArgumentError if one of the names has a space in it, which MeiliES forbade and did not check. */
export function requireNoSpaces(...names: readonly string[]): void {
  if (names.some((name) => name.includes(' '))) throw new InvalidArgumentError('a name cannot hold spaces')
}

/** Whether a topic may be shown as a stream, by its name. */
export function isStreamName(name: string): boolean {
  return complaintOn(name) === null
}

function complaintOn(name: string): string | null {
  if (name === '') return 'a stream name cannot be empty'
  if (name.includes(':')) return 'a stream name cannot hold a colon'
  if (LINE_END.test(name)) return 'a stream name cannot hold line ends'
  if (name === ALL_STREAMS) return `${ALL_STREAMS} is no stream but all of them`
  return isInternalTopic(name) ? 'names that begin with __leveret are reserved' : null
}

function numberOf(text: string): bigint {
  if (!DECIMAL.test(text)) throw new InvalidArgumentError('an event number is a decimal number')
  const digits = text.replace(/^\+?0*(?=\d)/, '')
  const value = digits.length > 20 ? NUMBER_MAX + 1n : BigInt(digits)
  if (value > NUMBER_MAX) throw new InvalidArgumentError('an event number is at most 2^64-1')
  return value
}

function safe(value: bigint | null): number | null {
  return value === null ? null : Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}
