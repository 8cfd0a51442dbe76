/**
 * One process owns a data directory: a lock file says which. A lock whose process is gone is taken over, also after the
 * machine was started again or the process number was given to another program. The file stays when it is released and
 * remembers whose data it is and the generation of the catalog, so that a catalog from a backup, or from elsewhere, is not
 * taken for the present one. It says everything twice: a lock that nobody can read protects nothing.
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
  /** Id of the data; empty if there was none. */
  readonly data: string
}

/** What the catalog must agree with: the last holder knew it so. Generation 0 if there was none. */
export interface Witness {
  readonly generation: number
  readonly data: string
}

export const NO_WITNESS: Witness = { generation: 0, data: '' }

/** Directories that this very process holds. */
const heldHere = new Set<string>()

export class DirectoryLock {
  #witness: Witness
  readonly #fs: FileSystem
  readonly #data: string

  private constructor(fs: FileSystem, data: string, witness: Witness) {
    this.#fs = fs
    this.#data = data
    this.#witness = witness
  }

  get witness(): Witness {
    return this.#witness
  }

  /** Throws LVT_DATA_IN_USE, and LVT_DATA_DAMAGED for a lock that cannot be read. */
  static async acquire(fs: FileSystem, data: string): Promise<DirectoryLock> {
    const path = join(data, LOCK)
    const known = readLock(fs, path)
    if (known === null && fs.exists(path)) {
      const message = `the lock file ${path} cannot be read, so nobody can say whether a process uses the data`
      throw new LeveretError('LVT_DATA_DAMAGED', `${message}. Make sure that none does, and remove the file`)
    }
    if (known !== null && known.pid !== 0 && isHeld(known, data)) {
      const message = `the data directory ${data} is in use by process ${known.pid}`
      throw new LeveretError('LVT_DATA_IN_USE', message)
    }
    heldHere.add(data)
    const lock = new DirectoryLock(fs, data, witnessOf(known))
    try {
      await lock.#hold()
      return lock
    } catch (error) {
      heldHere.delete(data)
      throw error
    }
  }

  /** The catalog is this one now. */
  async remember(witness: Witness): Promise<void> {
    this.#witness = witness
    await this.#hold()
  }

  /** Nobody holds the directory. With a witness, the catalog was closed as this one. */
  async release(witness = this.#witness): Promise<void> {
    heldHere.delete(this.#data)
    await this.#write({ pid: 0, life: '', ...witness })
  }

  #hold(): Promise<void> {
    return this.#write({ pid: process.pid, life: lifeOf(process.pid), ...this.#witness })
  }

  async #write({ pid, life, generation, data }: LockFacts): Promise<void> {
    const line = encodeLine({ pid, life, generation, data })
    await replaceFile(this.#fs, join(this.#data, LOCK), Buffer.from(line + line))
  }
}

/** What the lock file says, for who only looks. `holder` is the process that owns the directory, if there is one. */
export function lookAtLock(
  fs: FileSystem,
  data: string,
): { readonly holder: number | null; readonly witness: Witness } {
  const known = readLock(fs, join(data, LOCK))
  if (known === null) return { holder: null, witness: { generation: 0, data: '' } }
  const holder = known.pid !== 0 && isHeld(known, data) ? known.pid : null
  return { holder, witness: { generation: known.generation, data: known.data } }
}

/** Null if there is none, and if neither of its lines can be read. They are halves, so that no line end decides. */
function readLock(fs: FileSystem, path: string): LockFacts | null {
  const content = readFile(fs, path)
  if (content === null) return null
  const half = content.length / 2
  for (const line of [content.subarray(0, half), content.subarray(half), content]) {
    const { pid, life, generation, data } = (decodeLine(line.subarray(0, -1)) ?? {}) as Partial<LockFacts>
    if (typeof pid !== 'number' || typeof generation !== 'number') continue
    return { pid, life: String(life), generation, data: String(data ?? '') }
  }
  return null
}

function witnessOf(known: LockFacts | null): Witness {
  return known === null ? NO_WITNESS : { generation: known.generation, data: known.data }
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
