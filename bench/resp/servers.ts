/**
 * The servers whose queues are compared, and what they are asked besides. All of a bench stay up together: one that
 * nobody asks anything costs nothing, and the next one is measured a moment later.
 */
import type { Bench } from '../harness/bench.js'
import type { ChildServer } from '../harness/child-server.js'
import { Disposables } from '../harness/disposables.js'
import { type AppendFsync, ask, startRedis } from '../peers/redis.js'
import type { QueueDialect } from '../wire/queue-verbs.js'
import { command } from '../wire/resp.js'

export type QueueServerId = 'redis-everysec' | 'redis-always' | 'floki-async' | 'floki-sync'

export interface QueueServer {
  readonly id: QueueServerId
  /** With what its answers mean. */
  readonly name: string
  readonly dialect: QueueDialect
  readonly port: number
  readonly pid: number
  /** An empty one, with a channel or consumer group of this name. */
  makeQueue(queue: string, group: string): Promise<void>
  /** Messages that it says it has. */
  stored(queue: string): Promise<number>
  dropQueue(queue: string): Promise<void>
}

export class QueueServers implements AsyncDisposable {
  readonly all: readonly QueueServer[]
  readonly #parts: Disposables

  private constructor(all: readonly QueueServer[], parts: Disposables) {
    this.all = all
    this.#parts = parts
  }

  static async start(bench: Bench, ids: readonly QueueServerId[]): Promise<QueueServers> {
    const parts = new Disposables()
    try {
      const all: QueueServer[] = []
      for (const id of ids) {
        const folder = parts.use(bench.folder())
        if (id === 'floki-async' || id === 'floki-sync') {
          const server = parts.use(await bench.startLeveret(id, folder.path, 'floki'))
          all.push(flokiServer(id, server))
        } else if (bench.redis !== null) {
          const fsync: AppendFsync = id === 'redis-always' ? 'always' : 'everysec'
          all.push(redisServer(id, parts.use(await startRedis(bench.redis, folder.path, fsync))))
        }
      }
      return new QueueServers(all, parts)
    } catch (error) {
      await parts[Symbol.asyncDispose]()
      throw error
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#parts[Symbol.asyncDispose]()
  }
}

function flokiServer(id: 'floki-async' | 'floki-sync', { port, pid }: ChildServer): QueueServer {
  const durability = id === 'floki-sync' ? 'sync' : 'async'
  return {
    id,
    name: durability === 'sync' ? 'leveret, sync (synced)' : 'leveret, async (written)',
    dialect: 'floki',
    port,
    pid,
    async makeQueue(queue, group) {
      await required(port, command('SETNX', queue, group), '+OK')
      await required(port, command('CONFIG', 'SET', `queues.${queue}.durability`, durability), '+OK')
    },
    async stored(queue) {
      const answer = await ask(port, command('QINFO', `queues.${queue}`))
      const report = JSON.parse(answer.slice(answer.indexOf('{'))) as Record<string, { head: number }>
      return (report[queue]?.head ?? Number.NaN) - 1
    },
    dropQueue: (queue) => required(port, command('DEL', queue), ':1'),
  }
}

function redisServer(id: 'redis-everysec' | 'redis-always', { port, pid }: ChildServer): QueueServer {
  return {
    id,
    name: id === 'redis-always' ? 'Redis, always (synced)' : 'Redis, everysec (synced every second)',
    dialect: 'redis',
    port,
    pid,
    makeQueue: (queue, group) => required(port, command('XGROUP', 'CREATE', queue, group, '0', 'MKSTREAM'), '+OK'),
    async stored(queue) {
      return Number(/^:(\d+)/.exec(await ask(port, command('XLEN', queue)))?.[1] ?? Number.NaN)
    },
    dropQueue: (queue) => required(port, command('DEL', queue), ':1'),
  }
}

async function required(port: number, request: Buffer, expected: string): Promise<void> {
  const answer = await ask(port, request)
  if (!answer.startsWith(expected)) throw new Error(`answered ${answer}`)
}
