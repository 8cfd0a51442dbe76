/**
 * node-redis 4 to 6, for redis-library.ts.
 */
import type { Place, RedisUser } from './redis-user.js'

interface NodeRedis {
  sendCommand(words: readonly (string | Buffer)[]): Promise<unknown>
  subscribe(spec: string, listener: (payload: string) => void): Promise<unknown>
  unsubscribe(spec: string): Promise<unknown>
  set(queue: string, channel: string): Promise<unknown>
  setNX(queue: string, channel: string): Promise<unknown>
  rPush(queue: string, messages: readonly (string | Buffer)[]): Promise<unknown>
  hmGet(queue: string, fields: readonly string[]): Promise<unknown>
  hDel(queue: string, fields: readonly string[]): Promise<unknown>
  sRem(queue: string, member: string): Promise<unknown>
  del(queue: string): Promise<unknown>
  info(section: string): Promise<unknown>
  configGet(section: string): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): void
  connect(): Promise<unknown>
  destroy?(): void
  disconnect(): Promise<unknown>
}

interface NodeRedisPackage {
  createClient(options: object): NodeRedis
}

export async function connectNodeRedis(exported: unknown, place: Place, options: object): Promise<RedisUser> {
  const { t, port, signIn } = place
  const { createClient } = exported as NodeRedisPackage
  const complaints: string[] = []
  const open = async (): Promise<NodeRedis> => {
    const client = createClient({ socket: { host: '127.0.0.1', port }, ...signIn, ...options })
    t.after(() => end(client))
    client.on('error', (error) => complaints.push(String(error)))
    await client.connect()
    return client
  }
  const client = await open()
  const subscriber = await open()
  return {
    complaints,
    publish: (stream, event, data) => client.sendCommand(['publish', stream, event, data]),
    call: (...words) => client.sendCommand(words),
    subscribe: (spec, onMessage) => subscriber.subscribe(spec, onMessage),
    unsubscribe: (spec) => subscriber.unsubscribe(spec),
    queue: queueCalls(client),
  }
}

async function end(client: NodeRedis): Promise<void> {
  // Version 4 has the one, and complains of a connection that is closed already.
  if (client.destroy === undefined) await client.disconnect().catch(() => undefined)
  else client.destroy()
}

function queueCalls(client: NodeRedis): RedisUser['queue'] {
  return {
    set: (queue, channel) => client.set(queue, channel),
    setnx: (queue, channel) => client.setNX(queue, channel),
    rpush: (queue, ...messages) => client.rPush(queue, messages),
    hmget: (queue, channel, ...fields) => client.hmGet(queue, [channel, ...fields]),
    hdel: (queue, channel, ...tickets) => client.hDel(queue, [channel, ...tickets]),
    srem: (queue, channel) => client.sRem(queue, channel),
    del: (queue) => client.del(queue),
    info: (section) => client.info(section),
    configGet: (section) => client.configGet(section),
    // What is said in one turn leaves in one write.
    pipeline: (requests) => Promise.all(requests.map((words) => client.sendCommand(words))),
  }
}
