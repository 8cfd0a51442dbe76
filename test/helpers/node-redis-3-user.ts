/**
 * node-redis 3, which has callbacks, for redis-library.ts.
 */
import { type EventEmitter, once } from 'node:events'

import type { Place, RedisUser } from './redis-user.js'

type Callback = (error: Error | null, reply: unknown) => void
type Word = string | Buffer

interface NodeRedis3 extends EventEmitter {
  send_command(verb: string, words: readonly Word[], callback: Callback): void
  publish(stream: string, name: string, data: Word, callback: Callback): void
  subscribe(spec: string, callback: Callback): void
  unsubscribe(spec: string, callback: Callback): void
  set(queue: string, channel: string, callback: Callback): void
  setnx(queue: string, channel: string, callback: Callback): void
  rpush(queue: string, messages: readonly Word[], callback: Callback): void
  hmget(queue: string, fields: readonly string[], callback: Callback): void
  hdel(queue: string, fields: readonly string[], callback: Callback): void
  srem(queue: string, member: string, callback: Callback): void
  del(queue: string, callback: Callback): void
  info(section: string, callback: Callback): void
  config(words: readonly string[], callback: Callback): void
  batch(requests: readonly (readonly string[])[]): { exec(callback: Callback): void }
  end(isFlushed: boolean): void
}

interface NodeRedis3Package {
  readonly default: { createClient(options: object): NodeRedis3 }
}

export async function connectNodeRedis3(exported: unknown, { t, port, signIn }: Place): Promise<RedisUser> {
  const { createClient } = (exported as NodeRedis3Package).default
  const { username: user, password, database: db, name } = signIn
  const complaints: string[] = []
  const open = async (): Promise<NodeRedis3> => {
    const client = createClient({ host: '127.0.0.1', port, user, password, db })
    t.after(() => client.end(false))
    client.on('error', (error) => complaints.push(String(error)))
    client.on('warning', (warning) => complaints.push(String(warning)))
    await once(client, 'ready')
    if (name !== undefined) await said((callback) => client.send_command('client', ['setname', name], callback))
    return client
  }
  const client = await open()
  const subscriber = await open()
  return {
    complaints,
    publish: (stream, event, data) => said((callback) => client.publish(stream, event, data, callback)),
    call: (verb = '', ...words) => said((callback) => client.send_command(verb, words, callback)),
    subscribe: (spec, onMessage) => {
      subscriber.on('message', (channel, payload) => channel === spec && onMessage(payload))
      return said((callback) => subscriber.subscribe(spec, callback))
    },
    unsubscribe: (spec) => said((callback) => subscriber.unsubscribe(spec, callback)),
    queue: queueCalls(client),
  }
}

function queueCalls(client: NodeRedis3): RedisUser['queue'] {
  return {
    set: (queue, channel) => said((callback) => client.set(queue, channel, callback)),
    setnx: (queue, channel) => said((callback) => client.setnx(queue, channel, callback)),
    rpush: (queue, ...messages) => said((callback) => client.rpush(queue, messages, callback)),
    hmget: (queue, ...fields) => said((callback) => client.hmget(queue, fields, callback)),
    hdel: (queue, ...fields) => said((callback) => client.hdel(queue, fields, callback)),
    srem: (queue, channel) => said((callback) => client.srem(queue, channel, callback)),
    del: (queue) => said((callback) => client.del(queue, callback)),
    info: (section) => said((callback) => client.info(section, callback)),
    configGet: (section) => said((callback) => client.config(['get', section], callback)),
    pipeline: async (requests) => (await said((callback) => client.batch(requests).exec(callback))) as unknown[],
  }
}

function said(say: (callback: Callback) => void): Promise<unknown> {
  return new Promise((resolve, reject) => {
    say((error, reply) => (error === null ? resolve(reply) : reject(error)))
  })
}
