/**
 * The libraries of Redis for Node under one set of words, each used as its own documentation shows: the major versions that
 * are in use, and both versions of the protocol where a library speaks both.
 */
import type { TestContext } from 'node:test'
import { connectIoRedis } from './ioredis-user.js'
import { connectNodeRedis3 } from './node-redis-3-user.js'
import { connectNodeRedis } from './node-redis-user.js'
import type { Place, RedisUser, SignIn } from './redis-user.js'

export interface RedisLibrary {
  readonly title: string
  /** Its connections end with the test. */
  connect(t: TestContext, port: number, signIn?: SignIn): Promise<RedisUser>
}

type Connect = (exported: unknown, place: Place, options: object) => Promise<RedisUser>

export const REDIS_LIBRARIES: readonly RedisLibrary[] = [
  library('ioredis 6', 'ioredis', connectIoRedis),
  library('ioredis 6 with RESP2', 'ioredis', connectIoRedis, { protocol: 2 }),
  library('ioredis 5', 'ioredis-5', connectIoRedis),
  library('ioredis 4', 'ioredis-4', connectIoRedis),
  library('node-redis 6', 'node-redis', connectNodeRedis),
  library('node-redis 6 with RESP2', 'node-redis', connectNodeRedis, { RESP: 2 }),
  library('node-redis 5', 'node-redis-5', connectNodeRedis),
  library('node-redis 5 with RESP3', 'node-redis-5', connectNodeRedis, { RESP: 3 }),
  library('node-redis 4', 'node-redis-4', connectNodeRedis),
  library('node-redis 3', 'node-redis-3', connectNodeRedis3),
]

/** A major version other than the newest is installed under a name of its own. */
function library(title: string, name: string, connect: Connect, options: object = {}): RedisLibrary {
  return {
    title,
    async connect(t, port, signIn = {}) {
      const exported: unknown = await import(name)
      return connect(exported, { t, port, signIn }, options)
    },
  }
}
