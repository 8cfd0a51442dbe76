/**
 * Resident memory of a process, in bytes: what bounds are checked against. Needs /proc; without it there is no answer,
 * and the caller says so.
 */
import { existsSync, readFileSync } from 'node:fs'

export function residentBytes(pid: number | undefined): number | null {
  const path = `/proc/${pid}/status`
  if (pid === undefined || !existsSync(path)) return null
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(path, 'utf8'))
  return line === null ? null : Number(line[1]) * 1024
}

/** Growth since `before`, or 0 where it cannot be measured. */
export function grownBytes(pid: number | undefined, before: number | null): number {
  const now = residentBytes(pid)
  return now === null || before === null ? 0 : now - before
}
