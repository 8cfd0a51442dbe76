/**
 * ioredis 4 to 6, for redis-library.ts.
 */
import type { Place, RedisUser } from './redis-user.js'

interface IoRedis {
  publish(stream: string, name: string, data: string | Buffer): Promise<unknown>
  call(...words: readonly string[]): Promise<unknown>
  subscribe(spec: string): Promise<unknown>
  unsubscribe(spec: string): Promise<unknown>
  set(queue: string, channel: string): Promise<unknown>
  setnx(queue: string, channel: string): Promise<unknown>
  rpush(queue: string, ...messages: readonly (string | Buffer)[]): Promise<unknown>
  hmget(queue: string, channel: string, ...fields: readonly string[]): Promise<unknown>
  hdel(queue: string, channel: string, ...tickets: readonly string[]): Promise<unknown>
  srem(queue: string, channel: string): Promise<unknown>
  del(queue: string): Promise<unknown>
  info(section: string): Promise<unknown>
  config(word: 'GET', section: string): Promise<unknown>
  pipeline(requests: readonly (readonly string[])[]): { exec(): Promise<[Error | null, unknown][]> }
  on(event: 'message', listener: (channel: string, payload: string) => void): void
  on(event: 'error', listener: (error: Error) => void): void
  connect(): Promise<unknown>
  disconnect(): void
}

type IoRedisClass = new (options: object) => IoRedis

export async function connectIoRedis(exported: unknown, place: Place, options: object): Promise<RedisUser> {
  const { t, port } = place
  const { username, password, database, name } = place.signIn
  const { Redis: Named, default: whole } = exported as { Redis?: IoRedisClass; default: IoRedisClass }
  const Redis = Named ?? whole // version 4 exports nothing but the class
  const signIn = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(database === undefined ? {} : { db: database }),
    ...(name === undefined ? {} : { connectionName: name }),
  }
  const complaints: string[] = []
  const open = async (): Promise<IoRedis> => {
    const redis = new Redis({ host: '127.0.0.1', port, lazyConnect: true, ...signIn, ...options })
    t.after(() => redis.disconnect())
    redis.on('error', (error) => complaints.push(String(error)))
    await redis.connect()
    return redis
  }
  const redis = await open()
  const subscriber = await open()
  return {
    complaints,
    publish: (stream, event, data) => redis.publish(stream, event, data),
    call: (...words) => redis.call(...words),
    subscribe: (spec, onMessage) => {
      subscriber.on('message', (channel, payload) => channel === spec && onMessage(payload))
      return subscriber.subscribe(spec)
    },
    unsubscribe: (spec) => subscriber.unsubscribe(spec),
    queue: queueCalls(redis),
  }
}

function queueCalls(redis: IoRedis): RedisUser['queue'] {
  return {
    set: (queue, channel) => redis.set(queue, channel),
    setnx: (queue, channel) => redis.setnx(queue, channel),
    rpush: (queue, ...messages) => redis.rpush(queue, ...messages),
    hmget: (queue, channel, ...fields) => redis.hmget(queue, channel, ...fields),
    hdel: (queue, channel, ...tickets) => redis.hdel(queue, channel, ...tickets),
    srem: (queue, channel) => redis.srem(queue, channel),
    del: (queue) => redis.del(queue),
    info: (section) => redis.info(section),
    configGet: (section) => redis.config('GET', section),
    pipeline: async (requests) => (await redis.pipeline(requests).exec()).map(([error, reply]) => error ?? reply),
  }
}
