/**
 * What the files of the fault-injecting file system share: the trace of calls, the faults that chance or a plan adds to
 * them, the room on the device, and the death of the process. Knows nothing of paths but how to match them.
 */
import type { Random } from '../../src/common/random.js'
import { Crash, systemError } from './faulty-errors.js'
import type { Inode } from './faulty-inode.js'
import { below, chance, partOf, SeededRandom } from './faulty-random.js'

export type OpName =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'close'
  | 'size'
  | 'exists'
  | 'list'
  | 'make-directory'
  | 'sync-directory'
  | 'rename'
  | 'remove'
  | 'remove-directory'

/** One system call. Those of `makeDirectory` and `removeTree` are one for each directory or file. */
export interface Op {
  /** Counted from 0, in the order of the calls. */
  readonly index: number
  readonly name: OpName
  readonly path: string
  /** Of reads and writes; the new size of a truncate. */
  readonly position: number
  /** Bytes asked for, of reads and writes. */
  readonly length: number
  /** Of renames; empty otherwise. */
  readonly to: string
}

export interface FaultOptions {
  /** Give one of the two; the seed 1 otherwise. */
  readonly seed?: number
  readonly random?: Random
  /** Probabilities that a write or a read of more than one byte does a part of it. */
  readonly shortWrites?: number
  readonly shortReads?: number
  /** Probabilities that a read or a write fails with EINTR or EAGAIN, having done nothing. */
  readonly interrupted?: number
  readonly again?: number
  /** The files that the probabilities are meant for; all of them otherwise. */
  readonly only?: RegExp
  /** What all files may hold together; holes weigh nothing. */
  readonly capacityBytes?: number
  /** The most turns of the microtask queue that a call waits before it takes effect, and again before it resolves. */
  readonly turnsMax?: number
  /** The newest calls that `ops` remembers. */
  readonly opsMax?: number
}

/** An error for calls to come, counted from the moment at which it was planned. */
export interface PlannedFault {
  readonly op: OpName
  readonly code: string
  /** Matches the path of the call; any, if left out. */
  readonly path?: RegExp
  /** The first of the matching calls that fails: 1 if left out. */
  readonly nth?: number
  /** How many fail in a row: 1 if left out, `Infinity` for ever. */
  readonly times?: number
}

/** An asynchronous write that has not reached the cache. */
interface Flight {
  readonly inode: Inode
  readonly bytes: readonly Uint8Array[]
  readonly position: number
}

export type BeforeOp = (op: Op) => void
export type BeforeSync = (path: string) => Promise<void>

/** A device that is not slow. */
export const atOnce: BeforeSync = () => Promise.resolve()

export class FaultyMachine {
  readonly random: Random
  capacityBytes: number
  beforeOp: BeforeOp | null = null
  beforeSync: BeforeSync = atOnce
  /** Grows with every death of the process: what was opened in an earlier life is dead. */
  epoch = 0
  crash: Crash | null = null
  opCount = 0
  readonly #options: FaultOptions
  readonly #usedBytes: () => number
  readonly #flights = new Set<Flight>()
  #ops: Op[] = []
  #plan: { readonly fault: PlannedFault; seen: number }[] = []

  constructor(options: FaultOptions, usedBytes: () => number) {
    this.#options = options
    this.#usedBytes = usedBytes
    this.random = options.random ?? new SeededRandom(options.seed ?? 1)
    this.capacityBytes = options.capacityBytes ?? Number.POSITIVE_INFINITY
  }

  get ops(): readonly Op[] {
    return this.#ops.slice(-this.#opsMax)
  }

  get #opsMax(): number {
    return this.#options.opsMax ?? 1_000
  }

  plan(fault: PlannedFault): void {
    this.#plan.push({ fault, seen: 0 })
  }

  forgetPlans(): void {
    this.#plan = []
  }

  /** Record a call. Throws what the hook throws; returns the error that was planned for the call. */
  begin(name: OpName, path: string, position = 0, length = 0, to = ''): Error | null {
    this.assertRunning()
    const op: Op = { index: this.opCount++, name, path, position, length, to }
    this.#ops.push(op)
    if (this.#ops.length > 2 * this.#opsMax) this.#ops = this.#ops.slice(-this.#opsMax)
    try {
      this.beforeOp?.(op)
    } catch (error) {
      if (error instanceof Crash) this.crash = error
      throw error
    }
    return this.#planned(op)
  }

  /** As `begin`, for calls that a planned error leaves without any effect. */
  enter(name: OpName, path: string, position = 0, length = 0, to = ''): void {
    const planned = this.begin(name, path, position, length, to)
    if (planned !== null) throw planned
  }

  assertAlive(epoch: number, syscall: string, path: string): void {
    if (this.epoch !== epoch) throw systemError('EBADF', syscall, path)
    this.assertRunning()
  }

  assertRunning(): void {
    if (this.crash !== null) throw this.crash
  }

  /** A seeded number of turns of the microtask queue, so that completions overtake each other. */
  async turns(): Promise<void> {
    for (let left = below(this.random, 1 + (this.#options.turnsMax ?? 4)); left > 0; left--) await Promise.resolve()
  }

  /** Throws the errors after which a call is to be made again, if chance will have it. */
  interrupt(syscall: string, path: string): void {
    if (!this.#isMeant(path)) return
    if (chance(this.random, this.#options.interrupted ?? 0)) throw systemError('EINTR', syscall, path)
    if (chance(this.random, this.#options.again ?? 0)) throw systemError('EAGAIN', syscall, path)
  }

  /** As `turns`, but a device may be slow. */
  async syncTurns(path: string): Promise<void> {
    await this.beforeSync(path)
    await this.turns()
  }

  readLength(path: string, length: number): number {
    return this.#shortened(path, length, this.#options.shortReads ?? 0)
  }

  /** Into the cache: all of it, a part, or none with an error, as chance, room and the plan have it. Returns the bytes written. */
  write(inode: Inode, bytes: readonly Uint8Array[], position: number, planned: Error | null): number {
    const total = lengthOf(bytes)
    if (planned !== null) {
      put(inode, bytes, position, Math.min(partOf(this.random, total), this.#room(inode, position, total)))
      throw planned
    }
    this.interrupt('write', inode.path)
    const room = this.#room(inode, position, total)
    if (room < total && (room === 0 || chance(this.random, 0.5))) throw systemError('ENOSPC', 'write', inode.path)
    const length = Math.min(room, this.#shortened(inode.path, total, this.#options.shortWrites ?? 0))
    put(inode, bytes, position, length)
    return length
  }

  /** A write that nobody will hear of: it happens, or a part of it, or nothing. */
  tearWrite(inode: Inode, bytes: readonly Uint8Array[], position: number, random: Random): void {
    const total = lengthOf(bytes)
    const length = chance(random, 0.5) ? total : partOf(random, total)
    put(inode, bytes, position, Math.min(length, this.#room(inode, position, total)))
  }

  /** What needs a new entry fails, half of the time, on a device that has no room left. */
  needEntry(syscall: string, path: string): void {
    if (this.capacityBytes === Number.POSITIVE_INFINITY || this.#usedBytes() < this.capacityBytes) return
    if (chance(this.random, 0.5)) throw systemError('ENOSPC', syscall, path)
  }

  takeOff(inode: Inode, bytes: readonly Uint8Array[], position: number): Flight {
    const flight = { inode, bytes, position }
    this.#flights.add(flight)
    return flight
  }

  land(flight: Flight): void {
    this.#flights.delete(flight)
  }

  /** The process is dead and a new one may begin. A write that was on its way may have come through, or a part of it. */
  die(random: Random): void {
    for (const { inode, bytes, position } of this.#flights) this.tearWrite(inode, bytes, position, random)
    this.#flights.clear()
    this.epoch++
    this.crash = null
  }

  #planned(op: Op): Error | null {
    let error: Error | null = null
    for (const plan of this.#plan) {
      const { fault } = plan
      if (fault.op !== op.name || !isMatch(fault.path, op)) continue
      const { nth = 1, times = 1 } = fault
      plan.seen++
      if (plan.seen >= nth && plan.seen < nth + times) error ??= systemError(fault.code, op.name, op.path)
    }
    return error
  }

  #isMeant(path: string): boolean {
    return this.#options.only?.test(path) ?? true
  }

  #shortened(path: string, length: number, probability: number): number {
    if (length < 2 || !this.#isMeant(path) || !chance(this.random, probability)) return length
    return 1 + below(this.random, length - 1)
  }

  /** How much of a write fits; what lies over bytes that were written before needs no room. */
  #room(inode: Inode, position: number, length: number): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return length
    const free = Math.max(0, this.capacityBytes - this.#usedBytes())
    return Math.max(0, Math.min(length, inode.cached.extent + free - position))
  }
}

function isMatch(pattern: RegExp | undefined, op: Op): boolean {
  return pattern === undefined || pattern.test(op.path) || (op.to !== '' && pattern.test(op.to))
}

export function lengthOf(bytes: readonly Uint8Array[]): number {
  let length = 0
  for (const buffer of bytes) length += buffer.length
  return length
}

function put(inode: Inode, bytes: readonly Uint8Array[], position: number, length: number): void {
  let done = 0
  for (const buffer of bytes) {
    if (done >= length) return
    inode.write(buffer.length <= length - done ? buffer : buffer.subarray(0, length - done), position + done)
    done += buffer.length
  }
}
