/**
 * Under which conditions figures were measured: without them a figure says nothing.
 */
import { cpus, release, totalmem, type } from 'node:os'

export interface Conditions {
  readonly at: string
  readonly processor: string
  readonly processors: number
  readonly memoryGib: number
  readonly system: string
  readonly node: string
  /** Versions of peers; null when one is not installed. */
  readonly nats: string | null
  /** Only of a bench that has it in its tables. */
  readonly redis?: string | null
  readonly runs: number
}

export function conditionsNow(peers: Pick<Conditions, 'nats' | 'redis'>, runs: number): Conditions {
  return {
    at: new Date().toISOString().slice(0, 16).replace('T', ' '),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    processors: cpus().length,
    memoryGib: Math.round(totalmem() / 1024 ** 3),
    system: `${type()} ${release()}`,
    node: process.version,
    ...peers,
    runs,
  }
}
