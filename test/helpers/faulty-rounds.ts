/**
 * Rounds from counted seeds over the fault-injecting file system, and short words for what a file holds after each.
 */
import type { RawFile } from '../../src/storage/log/file-system.js'
import { FaultyFileSystem } from './faulty-file-system.js'
import type { FaultOptions } from './faulty-machine.js'

export const SECTOR = 512

/** Run `round` for so many seeds; what it returns is counted by its text. */
export async function outcomes(rounds: number, round: (seed: number) => unknown): Promise<Map<string, number>> {
  const counts = new Map<string, number>()
  for (let seed = 0; seed < rounds; seed++) {
    try {
      const outcome = String(await round(seed))
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error}`, { cause: error })
    }
  }
  return counts
}

export const keysOf = (counts: Map<string, number>) => [...counts.keys()].sort()

export const bytesOf = (letter: string, length: number) => Buffer.alloc(length, letter)

/** The letter that each sector is full of, `.` for zeros, `?` for a mixture. */
export function sectorsOf(content: Buffer): string {
  let letters = ''
  for (let at = 0; at < content.length; at += SECTOR) {
    const sector = content.subarray(at, at + SECTOR)
    const isPure = sector.every((byte) => byte === sector[0])
    letters += isPure ? (sector[0] === 0 ? '.' : String.fromCharCode(sector[0] as number)) : '?'
  }
  return letters
}

/** A file `/d/f` that is durable with its directory, open for writing. */
export function withFile(content: Uint8Array, options: FaultOptions): { fs: FaultyFileSystem; file: RawFile } {
  const fs = new FaultyFileSystem(options)
  fs.put('/d/f', content)
  return { fs, file: fs.open('/d/f', 'write') }
}

/** More than any call takes. */
export async function someTurns(): Promise<void> {
  for (let turn = 0; turn < 60; turn++) await Promise.resolve()
}

export function codeOf(call: () => unknown): string {
  try {
    call()
    return 'ok'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? `${error}`
  }
}
