/**
 * Walking a run that has been checked (protocol/records.ts): cutting it at record boundaries and finding keys,
 * without decoding records. Used by the ring's readers, the compaction window and the partitioner.
 */

export const RECORD_TAG = 0x7a
export const KEY_TAG = 0x0a
export const PAYLOAD_TAG = 0x12
export const HEADER_TAG = 0x1a
/** Within a header. */
export const HEADER_NAME_TAG = 0x0a
export const HEADER_VALUE_TAG = 0x12

/** The position after skipping `records` records of a run that has been checked. */
export function skipRecords(body: Uint8Array, start: number, records: number): number {
  let position = start
  for (let left = records; left > 0; left--) {
    let length = body[++position] as number
    if (length >= 0x80) {
      length &= 0x7f
      let factor = 0x80
      let byte: number
      do {
        byte = body[++position] as number
        length += (byte & 0x7f) * factor
        factor *= 0x80
      } while (byte >= 0x80)
    }
    position += 1 + length
  }
  return position
}

/** Where the content of the record that starts at `position` (its tag) begins and ends; of a checked run. */
export function recordBounds(body: Uint8Array, position: number): { start: number; end: number } {
  let length = body[position + 1] as number
  let start = position + 2
  if (length >= 0x80) {
    length &= 0x7f
    let factor = 0x80
    let byte: number
    do {
      byte = body[start++] as number
      length += (byte & 0x7f) * factor
      factor *= 0x80
    } while (byte >= 0x80)
  }
  return { start, end: start + length }
}

/** Records in what may be a run, or -1 if it is none. */
export function countRecords(body: Uint8Array): number {
  let count = 0
  for (let position = 0; position < body.length; count++) {
    if (body[position] !== RECORD_TAG) return -1
    const { start, end } = recordBounds(body, position)
    // A length that was cut off is no number, and no comparison holds for it.
    if (!(start <= end && end <= body.length)) return -1
    position = end
  }
  return count
}

/** The key of the record whose content is `body[start, end)`, as a view; null when it has none. The last one counts. */
export function recordKey(body: Buffer, start: number, end: number): Buffer | null {
  let key: Buffer | null = null
  let position = start
  while (position < end) {
    const tag = body[position] as number
    const next = body[position + 1] as number
    if (tag === PAYLOAD_TAG && key !== null && next < 0x80 && position + 2 + next === end) return key
    if (tag === KEY_TAG) {
      const bounds = recordBounds(body, position)
      key = body.subarray(bounds.start, bounds.end)
      position = bounds.end
    } else position = skipField(body, position)
  }
  return key
}

/** Whether the record whose content is `body[start, end)` has no payload, or an empty one. The last one counts. */
export function isEmptyPayload(body: Buffer, start: number, end: number): boolean {
  let isEmpty = true
  for (let position = start; position < end; position = skipField(body, position)) {
    if (body[position] !== PAYLOAD_TAG) continue
    const bounds = recordBounds(body, position)
    isEmpty = bounds.start === bounds.end
  }
  return isEmpty
}

/**
 * Where the value of the header that begins at `position` (its tag) is, if it is the one whose content begins with `head`, its
 * name, and nothing follows the value; null otherwise.
 */
export function headerValue(
  body: Uint8Array,
  position: number,
  head: Uint8Array,
): { readonly start: number; readonly end: number } | null {
  const { start, end } = recordBounds(body, position)
  const at = start + head.length
  if (at >= end || body[at] !== HEADER_VALUE_TAG) return null
  for (let index = 0; index < head.length; index++) if (body[start + index] !== head[index]) return null
  const value = recordBounds(body, at)
  return value.end === end ? value : null
}

/** The position behind the field whose tag begins at `start`. */
export function skipField(body: Buffer, start: number): number {
  const position = skipVarint(body, start)
  switch ((body[start] as number) & 7) {
    case 0:
      return skipVarint(body, position)
    case 1:
      return position + 8
    case 5:
      return position + 4
    default:
      return recordBounds(body, position - 1).end
  }
}

function skipVarint(body: Buffer, start: number): number {
  let position = start
  while ((body[position] as number) >= 0x80) position++
  return position + 1
}
