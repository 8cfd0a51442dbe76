/**
 * What the kernel says of another process. It reads /proc: Linux only.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { sleep } from './time.js'

const SAMPLE_MS = 250
const STEADY_BYTES = 256 * 1024

export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]
  if (kib === undefined) throw new Error(`process ${pid} has no VmRSS`)
  return Number(kib) * 1024
}

const TICKS_PER_SECOND = 100

/** Seconds of processor time that a process has used, its own and the kernel's for it; null outside Linux. */
export function processorSeconds(pid: number): number | null {
  if (process.platform !== 'linux') return null
  // The name in parentheses may hold spaces; the 14th and 15th fields count ticks.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

export function openFiles(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/**
 * Resident bytes once they have stopped falling and rising for `quietMs`, or after `maxMs`. A collector gives
 * memory back only some seconds after the work has ended.
 */
export async function settledBytes(pid: number, quietMs: number, maxMs: number): Promise<number> {
  let steady = residentBytes(pid)
  let quiet = 0
  for (let waited = 0; waited < maxMs && quiet < quietMs; waited += SAMPLE_MS) {
    await sleep(SAMPLE_MS)
    const now = residentBytes(pid)
    if (Math.abs(now - steady) > STEADY_BYTES) {
      steady = now
      quiet = 0
    } else quiet += SAMPLE_MS
  }
  return residentBytes(pid)
}
