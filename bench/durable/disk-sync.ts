/**
 * What the disk itself takes: without it, no figure of a synced acknowledgement can be understood.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench } from '../harness/bench.js'
import { percentile, type Spread } from '../harness/statistics.js'
import { nowNs } from '../harness/time.js'

const SYNCS = 1_000
const APPENDED_BYTES = 200

/** In microseconds; `min` and `max` are the 1st and the 99th percentile. */
export async function measureSync(bench: Bench): Promise<Spread> {
  await using folder = bench.folder()
  const file = openSync(join(folder.path, 'probe'), 'a')
  const bytes = Buffer.alloc(APPENDED_BYTES, 'x')
  const tookUs = new Float64Array(SYNCS)
  for (let index = 0; index < SYNCS; index++) {
    writeSync(file, bytes)
    const startNs = nowNs()
    fdatasyncSync(file)
    tookUs[index] = (nowNs() - startNs) / 1000
  }
  closeSync(file)
  tookUs.sort()
  const of = (share: number): number => percentile(tookUs, share)
  return { median: of(0.5), min: of(0.01), max: of(0.99), runs: SYNCS }
}
