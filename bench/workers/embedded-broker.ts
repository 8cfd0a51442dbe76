/**
 * A broker inside this process, which can say what its heap holds.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createBroker } from '../../src/index.js'
import { offer } from '../harness/calls.js'
import { sleep } from '../harness/time.js'

export interface Memory {
  readonly heapBytes: number
  readonly residentBytes: number
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as (how?: object) => void

const SETTLE_MS = 500

const api = {
  /** Answers with its port. */
  async open(data: string): Promise<number> {
    const { port } = await createBroker({ data })
    return port
  },

  /** With the dialects of RESP, and their ports. */
  async openResp(data: string): Promise<{ floki: number; meilies: number }> {
    const { listeners } = await createBroker({ data, floki: 0, meilies: 0 })
    const portOf = (dialect: string): number => listeners.find(({ name }) => name === dialect)?.port ?? 0
    return { floki: portOf('floki'), meilies: portOf('meilies') }
  },

  /** Once everything that can be given back is given back. */
  async memory(_: null): Promise<Memory> {
    // What the last requests have left is garbage only when they have ended, and some of it only to a second look.
    await sleep(SETTLE_MS)
    collect()
    collect()
    collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
    const { heapUsed, external, rss } = process.memoryUsage()
    return { heapBytes: heapUsed + external, residentBytes: rss }
  },
}

export type EmbeddedBrokerApi = typeof api

offer(api)
