/**
 * A broker inside this process, which can say what its heap holds.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createBroker } from '../../src/index.js'
import { offer } from '../harness/calls.js'

const api = {
  /** Answers with its port. */
  async open(data: string): Promise<number> {
    const { port } = await createBroker({ data })
    return port
  },

  /** Bytes in use, garbage not counted. */
  async heapBytes(_: null): Promise<number> {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    collect()
    collect()
    const { heapUsed, external } = process.memoryUsage()
    return heapUsed + external
  },
}

export type EmbeddedBrokerApi = typeof api

offer(api)
