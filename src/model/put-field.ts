/**
 * Laying out records field by field, in place: what it takes, and what stands before the content. run.ts reads what is laid
 * out here.
 */

/** Of a field with so many bytes of content, its tag and length included. */
export function fieldBytes(contentBytes: number): number {
  let bytes = 2 + contentBytes
  for (let left = contentBytes; left >= 0x80; left = Math.floor(left / 0x80)) bytes++
  return bytes
}

/** Write the tag of a field and what follows it, the length of its content or the number that it is; returns the position behind it. */
export function putFieldHead(target: Buffer, position: number, tag: number, number: number): number {
  let at = position
  target[at++] = tag
  let left = number
  for (; left >= 0x80; left = Math.floor(left / 0x80)) target[at++] = (left & 0x7f) | 0x80
  target[at++] = left
  return at
}
