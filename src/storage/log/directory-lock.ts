/**
 * One process owns a data directory: a lock file says which. A lock whose process is gone is taken over, also after the
 * machine was started again or the process number was given to another program. The file stays when it is released and
 * remembers the generation of the catalog, so that a catalog from a backup is not taken for the present one.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LeveretError } from '../../common/errors.js'
import { readFile, replaceFile, systemCode } from './file-io.js'
import { LOCK } from './file-names.js'
import type { FileSystem } from './file-system.js'
import { decodeLine, encodeLine } from './sealed-lines.js'

interface LockFacts {
  /** 0 when nobody holds it. */
  readonly pid: number
  /** What tells this life of the process number from another: see `lifeOf`. */
  readonly life: string
  readonly generation: number
}

/** Directories that this very process holds. */
const heldHere = new Set<string>()

export class DirectoryLock {
  /** Generation of the catalog as the last holder knew it; 0 if there was none. */
  readonly generation: number
  readonly #fs: FileSystem
  readonly #data: string

  private constructor(fs: FileSystem, data: string, generation: number) {
    this.#fs = fs
    this.#data = data
    this.generation = generation
  }

  /** Throws LVT_DATA_IN_USE. */
  static async acquire(fs: FileSystem, data: string): Promise<DirectoryLock> {
    const path = join(data, LOCK)
    const known = readLock(fs, path)
    if (known !== null && known.pid !== 0 && isHeld(known, data)) {
      const message = `the data directory ${data} is in use by process ${known.pid}`
      throw new LeveretError('LVT_DATA_IN_USE', message)
    }
    heldHere.add(data)
    const lock = new DirectoryLock(fs, data, known?.generation ?? 0)
    try {
      await lock.#write({ pid: process.pid, life: lifeOf(process.pid), generation: lock.generation })
      return lock
    } catch (error) {
      heldHere.delete(data)
      throw error
    }
  }

  /** The catalog has this generation now. */
  async remember(generation: number): Promise<void> {
    await this.#write({ pid: process.pid, life: lifeOf(process.pid), generation })
  }

  async release(generation: number): Promise<void> {
    heldHere.delete(this.#data)
    await this.#write({ pid: 0, life: '', generation })
  }

  /** The holder failed to start: leave the file, which is stale by what it says. */
  abandon(): void {
    heldHere.delete(this.#data)
  }

  async #write(facts: LockFacts): Promise<void> {
    await replaceFile(this.#fs, join(this.#data, LOCK), Buffer.from(encodeLine(facts)))
  }
}

/** What the lock file says, for who only looks. `holder` is the process that owns the directory, if there is one. */
export function lookAtLock(
  fs: FileSystem,
  data: string,
): { readonly holder: number | null; readonly generation: number; readonly isDamaged: boolean } {
  const path = join(data, LOCK)
  const known = readLock(fs, path)
  if (known === null) return { holder: null, generation: 0, isDamaged: fs.exists(path) }
  const holder = known.pid !== 0 && isHeld(known, data) ? known.pid : null
  return { holder, generation: known.generation, isDamaged: false }
}

function readLock(fs: FileSystem, path: string): LockFacts | null {
  const content = readFile(fs, path)
  if (content === null) return null
  const value = decodeLine(content.subarray(0, -1)) as Partial<LockFacts> | null
  if (value === null || typeof value.pid !== 'number' || typeof value.generation !== 'number') return null
  return { pid: value.pid, life: String(value.life), generation: value.generation }
}

function isHeld({ pid, life }: LockFacts, data: string): boolean {
  if (pid === process.pid && life === lifeOf(pid)) return heldHere.has(data)
  try {
    process.kill(pid, 0)
  } catch (error) {
    // EPERM: it lives, and is another user's.
    if (systemCode(error) === 'ESRCH') return false
  }
  return life === lifeOf(pid)
}

/** The boot and the start time of a process, where the system tells; else the same for every life. */
function lifeOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in parentheses may hold anything; the start time is the 20th field behind it.
    return `${boot}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return ''
  }
}
