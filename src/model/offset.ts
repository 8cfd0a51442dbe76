/**
 * Offsets: places in a partition, 0, 1, 2... A branded safe integer, so that counts and offsets are not confused;
 * 2^53 of them last 285 years at a million records a second.
 */

declare const offsetBrand: unique symbol

export type Offset = number & { readonly [offsetBrand]: true }

export const FIRST_OFFSET = 0 as Offset

/** A number that is known to be an offset: decoded from the wire or read from a log. */
export function toOffset(value: number): Offset {
  return value as Offset
}

export function advance(offset: Offset, records: number): Offset {
  return (offset + records) as Offset
}
