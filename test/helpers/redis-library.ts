/**
 * The libraries of Redis for Node under one set of words, each used as its own documentation shows: the major versions that
 * are in use, and both versions of the protocol where a library speaks both.
 */
import type { TestContext } from 'node:test'
import { connectIoRedis } from './ioredis-user.js'
import { connectNodeRedis3 } from './node-redis-3-user.js'
import { connectNodeRedis } from './node-redis-user.js'

/** What its users may tell a library besides the place of the server. */
export interface SignIn {
  readonly username?: string
  readonly password?: string
  readonly database?: number
  readonly name?: string
}

/** One user of a library: a connection for requests, and one for subscriptions. */
export interface RedisUser {
  /** As the library publishes an event, which has a name besides its data. */
  publish(stream: string, name: string, data: string | Buffer): Promise<unknown>
  call(...words: readonly string[]): Promise<unknown>
  /** Resolves when it is confirmed; messages of its channel go to `onMessage`. */
  subscribe(spec: string, onMessage: (payload: string) => void): Promise<unknown>
  unsubscribe(spec: string): Promise<unknown>
  readonly queue: QueueCalls
  /** What the library complained about without being asked. */
  readonly complaints: readonly string[]
}

/** The methods that a library has for commands of Redis whose names Floki uses. */
export interface QueueCalls {
  set(queue: string, channel: string): Promise<unknown>
  setnx(queue: string, channel: string): Promise<unknown>
  rpush(queue: string, ...messages: readonly (string | Buffer)[]): Promise<unknown>
  /** `fields` are a count and, of a long poll, its seconds. */
  hmget(queue: string, channel: string, ...fields: readonly string[]): Promise<unknown>
  hdel(queue: string, channel: string, ...tickets: readonly string[]): Promise<unknown>
  srem(queue: string, channel: string): Promise<unknown>
  del(queue: string): Promise<unknown>
  info(section: string): Promise<unknown>
  configGet(section: string): Promise<unknown>
  /** All in one write; their replies in order. */
  pipeline(requests: readonly (readonly string[])[]): Promise<unknown[]>
}

export interface RedisLibrary {
  readonly title: string
  /** Its connections end with the test. */
  connect(t: TestContext, port: number, signIn?: SignIn): Promise<RedisUser>
}

/** What a library is connected with. */
export interface Place {
  readonly t: TestContext
  readonly port: number
  readonly signIn: SignIn
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
