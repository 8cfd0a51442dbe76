/**
 * The libraries of Redis for Node under one set of words, each used as its own documentation shows.
 */
import type { Package } from './peer.js'

/** One user of a library: a connection for requests, and one for subscriptions. */
export interface RedisUser {
  /** As the library publishes an event, which has a name besides its data. */
  publish(stream: string, name: string, data: string | Buffer): Promise<unknown>
  call(...words: readonly string[]): Promise<unknown>
  /** Resolves when it is confirmed; messages of its channel go to `onMessage`. */
  subscribe(spec: string, onMessage: (payload: string) => void): Promise<unknown>
  unsubscribe(spec: string): Promise<unknown>
  /** What the library complained about without being asked. */
  readonly complaints: readonly string[]
  close(): void
}

export interface RedisLibrary {
  /** Of the package; a major version other than the newest is installed under a name of its own. */
  readonly package: string
  readonly title: string
  connect(found: Package, port: number): Promise<RedisUser>
}

interface IoRedis {
  publish(stream: string, name: string, data: string | Buffer): Promise<unknown>
  call(...words: readonly string[]): Promise<unknown>
  subscribe(spec: string): Promise<unknown>
  unsubscribe(spec: string): Promise<unknown>
  on(event: 'message', listener: (channel: string, payload: string) => void): void
  on(event: 'error', listener: (error: Error) => void): void
  connect(): Promise<unknown>
  disconnect(): void
}

interface IoRedisPackage {
  readonly Redis: new (options: object) => IoRedis
}

interface NodeRedis {
  sendCommand(words: readonly (string | Buffer)[]): Promise<unknown>
  subscribe(spec: string, listener: (payload: string) => void): Promise<unknown>
  unsubscribe(spec: string): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): void
  connect(): Promise<unknown>
  destroy?(): void
  disconnect(): Promise<unknown>
}

interface NodeRedisPackage {
  createClient(options: object): NodeRedis
}

/** The major versions that are in use, and both versions of the protocol where a library speaks both. */
export const REDIS_LIBRARIES: readonly RedisLibrary[] = [
  { package: 'ioredis', title: 'ioredis 6', connect: (found, port) => connectIoRedis(found, port, {}) },
  {
    package: 'ioredis',
    title: 'ioredis 6 with RESP2',
    connect: (found, port) => connectIoRedis(found, port, { protocol: 2 }),
  },
  { package: 'ioredis-5', title: 'ioredis 5', connect: (found, port) => connectIoRedis(found, port, {}) },
  { package: 'node-redis', title: 'node-redis 6', connect: (found, port) => connectNodeRedis(found, port, {}) },
  {
    package: 'node-redis',
    title: 'node-redis 6 with RESP2',
    connect: (found, port) => connectNodeRedis(found, port, { RESP: 2 }),
  },
  { package: 'node-redis-4', title: 'node-redis 4', connect: (found, port) => connectNodeRedis(found, port, {}) },
]

async function connectIoRedis(found: Package, port: number, options: object): Promise<RedisUser> {
  const { Redis } = exportedBy(found) as IoRedisPackage
  const complaints: string[] = []
  const open = async (): Promise<IoRedis> => {
    const redis = new Redis({ host: '127.0.0.1', port, lazyConnect: true, ...options })
    redis.on('error', (error) => complaints.push(String(error)))
    await redis.connect()
    return redis
  }
  const redis = await open()
  const subscriber = await open()
  return {
    complaints,
    publish: (stream, name, data) => redis.publish(stream, name, data),
    call: (...words) => redis.call(...words),
    subscribe: (spec, onMessage) => {
      subscriber.on('message', (channel, payload) => channel === spec && onMessage(payload))
      return subscriber.subscribe(spec)
    },
    unsubscribe: (spec) => subscriber.unsubscribe(spec),
    close: () => {
      redis.disconnect()
      subscriber.disconnect()
    },
  }
}

async function connectNodeRedis(found: Package, port: number, options: object): Promise<RedisUser> {
  const { createClient } = exportedBy(found) as NodeRedisPackage
  const complaints: string[] = []
  const open = async (): Promise<NodeRedis> => {
    const client = createClient({ socket: { host: '127.0.0.1', port }, ...options })
    client.on('error', (error) => complaints.push(String(error)))
    await client.connect()
    return client
  }
  const client = await open()
  const subscriber = await open()
  return {
    complaints,
    publish: (stream, name, data) => client.sendCommand(['publish', stream, name, data]),
    call: (...words) => client.sendCommand(words),
    subscribe: (spec, onMessage) => subscriber.subscribe(spec, onMessage),
    unsubscribe: (spec) => subscriber.unsubscribe(spec),
    close: () => {
      for (const one of [client, subscriber]) {
        if (one.destroy === undefined) void one.disconnect()
        else one.destroy()
      }
    },
  }
}

function exportedBy(found: Package): unknown {
  if (!found.found) throw new Error(found.skip)
  return found.exported
}
