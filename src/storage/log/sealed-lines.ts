/**
 * Small files of facts that a person can read and a flipped bit cannot change unseen: lines of JSON, each behind the
 * CRC-32 of its text in eight hexadecimal digits and a space.
 */
import { crc32 } from 'node:zlib'

export function encodeLine(value: object): string {
  const text = JSON.stringify(value)
  return `${checksum(text)} ${text}\n`
}

/** The value of one line without its end, or null if it is damaged. */
export function decodeLine(line: Buffer): object | null {
  const text = line.subarray(9)
  if (line[8] !== 0x20 || checksum(text) !== line.toString('latin1', 0, 8)) return null
  try {
    const value: unknown = JSON.parse(text.toString())
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}

export interface Line {
  readonly value: object | null
  /** Position of the byte behind the line and its end. */
  readonly end: number
}

/** The line that begins at `at`; null at the end of the file. A last line without its end is damaged. */
export function lineAt(file: Buffer, at: number): Line | null {
  if (at >= file.length) return null
  const end = file.indexOf(0x0a, at)
  if (end < 0) return { value: null, end: file.length }
  return { value: decodeLine(file.subarray(at, end)), end: end + 1 }
}

function checksum(text: string | Buffer): string {
  return crc32(text).toString(16).padStart(8, '0')
}
