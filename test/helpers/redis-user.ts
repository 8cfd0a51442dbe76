/**
 * What the suites say to a library of Redis for Node, whichever it is.
 */
import type { TestContext } from 'node:test'

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

/** What a library is connected with. */
export interface Place {
  readonly t: TestContext
  readonly port: number
  readonly signIn: SignIn
}
