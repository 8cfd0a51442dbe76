/**
 * Arguments of Floki's requests: names, numbers, sizes and durations, as its own parsers have them.
 *
 *   size     = digits [ "b" | "k" | "kb" | "m" | "mb" | "g" | "gb" ]
 *   duration = digits [ "s" | "ms" | "m" | "h" | "d" ]
 */
import { isInternalTopic } from '../../../model/topic.js'
import { FlokiFault } from './floki-fault.js'

const NAME = /^[A-Za-z0-9_]{1,128}$/
const UNSIGNED = /^\+?\d+$/
const SIGNED = /^[+-]?\d+$/
const VALUE = /^(\d+)([A-Za-z]*)$/
/** More digits than those of a number that is exact. */
const DIGITS_MAX = 16
const U32_MAX = 0xffff_ffff
const U64_MAX = 0xffff_ffff_ffff_ffffn
const I64_MAX = 0x7fff_ffff_ffff_ffffn
const I64_MIN = -0x8000_0000_0000_0000n

const SIZES: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['k', 2 ** 10],
  ['kb', 2 ** 10],
  ['m', 2 ** 20],
  ['mb', 2 ** 20],
  ['g', 2 ** 30],
  ['gb', 2 ** 30],
])
const DURATIONS_MS: ReadonlyMap<string, number> = new Map([
  ['', 1_000],
  ['s', 1_000],
  ['ms', 1],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

export function isName(text: string): boolean {
  return NAME.test(text)
}

/** The name of a topic that is not one of leveret's own. */
export function isQueueName(text: string): boolean {
  return isName(text) && !isInternalTopic(text)
}

/** Of 64 bits; what no number is exact for becomes the greatest that is. Throws FlokiFault with `refusal`. */
export function unsigned(text: string, refusal: string): number {
  if (!UNSIGNED.test(text)) throw new FlokiFault(refusal)
  const value = Number(text)
  if (value <= Number.MAX_SAFE_INTEGER) return value
  if (BigInt(text.replace('+', '')) > U64_MAX) throw new FlokiFault(refusal)
  return Number.MAX_SAFE_INTEGER
}

export function unsigned32(text: string, refusal: string): number {
  const value = unsigned(text, refusal)
  if (value > U32_MAX) throw new FlokiFault(refusal)
  return value
}

/** A number of bytes that are a few digits, as they nearly always are; -1 for what has to be looked at as text. */
export function digitsOf(buffer: Buffer, start: number, end: number): number {
  if (end === start || end - start > DIGITS_MAX) return -1
  let value = 0
  for (let at = start; at < end; at++) {
    const digit = (buffer[at] as number) - 48
    if (digit < 0 || digit > 9) return -1
    value = value * 10 + digit
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1
}

/** 0, which none has, for a ticket that cannot be one of leveret's. */
export function ticketOf(text: string): number {
  const refusal = 'IPA Invalid Ticket'
  if (!SIGNED.test(text)) throw new FlokiFault(refusal)
  const value = Number(text)
  if (Number.isSafeInteger(value)) return value
  const exact = BigInt(text.replace('+', ''))
  if (exact > I64_MAX || exact < I64_MIN) throw new FlokiFault(refusal)
  return 0
}

export function sizeOf(text: string): number {
  return measured(text, SIZES, 'IPA Invalid Size Value')
}

export function durationMsOf(text: string): number {
  return measured(text, DURATIONS_MS, 'IPA Invalid Duration Value')
}

function measured(text: string, units: ReadonlyMap<string, number>, refusal: string): number {
  const [, digits = '', suffix = ''] = VALUE.exec(text) ?? []
  const unit = units.get(suffix.toLowerCase())
  const value = Number(digits) * (unit ?? Number.NaN)
  if (digits === '' || !Number.isSafeInteger(value)) throw new FlokiFault(refusal)
  return value
}
