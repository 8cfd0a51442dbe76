/**
 * Laying down frames that are made of many small pieces, without a call of the system or an object for each.
 */

/** A call costs as much as so many bytes one by one. */
const LOOP_BYTES_MAX = 40

/** Copy `source[start, end)`; returns the position behind it. A few bytes are sooner copied than handed to the system. */
export function putBytes(target: Uint8Array, position: number, source: Buffer, start: number, end: number): number {
  if (end - start > LOOP_BYTES_MAX) return position + source.copy(target, position, start, end)
  let at = position
  for (let from = start; from < end; from++) target[at++] = source[from] as number
  return at
}

/** Write the digits of a number, 16 at most; returns the position behind them. */
export function putNumber(target: Uint8Array, position: number, value: number): number {
  const length = digits(value)
  let left = value
  for (let at = position + length - 1; at >= position; at--) {
    const rest = Math.floor(left / 10)
    target[at] = 48 + left - rest * 10
    left = rest
  }
  return position + length
}

/** How many digits a number has. */
export function digits(value: number): number {
  let count = 1
  for (let limit = 10; value >= limit; limit *= 10) count++
  return count
}
