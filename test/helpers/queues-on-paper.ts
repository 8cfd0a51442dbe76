/**
 * What queues of Floki must hold after the requests that were answered: every message and ticket by itself. A request that
 * was not answered may have happened or not, so that there are several papers, of which one has to be true.
 */
import type { Random } from '../../src/common/random.js'
import { below } from './faulty-random.js'
import type { Message } from './floki-server.js'

const TIMEOUT_SECONDS = 30

interface PaperChannel {
  /** Id of the next new message. */
  next: number
  /** What is in flight, by ticket; one message may have several, after a seek back. */
  readonly tickets: Map<number, number>
}

interface PaperQueue {
  /** Id of the next message that is pushed. */
  head: number
  timeoutSeconds: number
  readonly bodies: Map<number, string>
  readonly channels: Map<string, PaperChannel>
}

/** A queue as it is read: for each channel, what comes again or comes next. */
export interface QueueView {
  readonly head: number
  readonly timeoutSeconds: number
  readonly channels: Record<string, readonly (readonly [id: number, body: string])[]>
}

export interface PaperRequest {
  readonly words: string
  /** Done in several steps, so that more may be true after a crash than that it happened or not. */
  readonly isManifold: boolean
  /** What a fetch brought. */
  took(messages: readonly Message[]): void
}

export class QueuesOnPaper {
  readonly #queues: Map<string, PaperQueue>
  #bodies: number

  constructor(queues: Map<string, PaperQueue> = new Map(), bodies = 0) {
    this.#queues = queues
    this.#bodies = bodies
  }

  copy(): QueuesOnPaper {
    return new QueuesOnPaper(structuredClone(this.#queues), this.#bodies)
  }

  has(queue: string): boolean {
    return this.#queues.has(queue)
  }

  /** Somebody reads everything of all queues, and leaves it in flight. */
  view(): Record<string, QueueView> {
    return Object.fromEntries(
      [...this.#queues].sort(byName).map(([name, { head, timeoutSeconds, bodies, channels }]) => {
        const left = [...channels]
          .sort(byName)
          .map(([channel, facts]) => [channel, [...bodies].filter(([id]) => isLeft(facts, id))] as const)
        return [name, { head, timeoutSeconds, channels: Object.fromEntries(left) }]
      }),
    )
  }

  /** What was in flight before a crash is so no more; this is, of what has been read since. */
  readAll(queue: string, channel: string, messages: readonly Message[]): void {
    const { head } = this.#queue(queue)
    const facts = this.#queue(queue).channels.get(channel) as PaperChannel
    facts.next = Math.max(facts.next, head)
    facts.tickets.clear()
    for (const { id, ticket } of messages) facts.tickets.set(ticket, id)
  }

  /** A queue without a channel yet. */
  make(queue: string): void {
    this.#queues.set(queue, { head: 1, timeoutSeconds: TIMEOUT_SECONDS, bodies: new Map(), channels: new Map() })
  }

  /** Any request that makes sense, as if it had been answered. */
  choose(random: Random): PaperRequest {
    const name = below(random, 2) === 0 ? 'p' : 'q'
    const channelName = below(random, 2) === 0 ? 'c' : 'd'
    const kind = below(random, 100)
    const queue = this.#queues.get(name)
    if (queue === undefined || kind < 12) return this.#create(name, channelName)
    if (kind < 40) return this.#push(name, queue, 1 + below(random, 3))
    if (kind < 42) return this.#purge(name, queue)
    if (kind < 44) {
      this.#queues.delete(name)
      return plain(`DEL ${name}`)
    }
    if (kind < 46) {
      queue.timeoutSeconds = 31 + 10 * below(random, 9)
      return plain(`CONFIG SET queues.${name}.message_timeout ${queue.timeoutSeconds}s`)
    }
    const channel = queue.channels.get(channelName)
    return channel === undefined
      ? this.#create(name, channelName)
      : this.#useChannel(`${name} ${channelName}`, queue, channel, kind, random)
  }

  #useChannel(names: string, queue: PaperQueue, channel: PaperChannel, kind: number, random: Random): PaperRequest {
    const tickets = [...channel.tickets.keys()]
    if (kind < 68 || (kind < 86 && tickets.length === 0)) return fetch(names, channel, 1 + below(random, 3))
    if (kind < 86) {
      const ticket = tickets[below(random, tickets.length)] as number
      channel.tickets.delete(ticket)
      return plain(`HDEL ${names} ${ticket}`)
    }
    if (kind < 94) {
      const id = below(random, queue.head + 5)
      channel.next = Math.max(1, id)
      return { ...plain(`HMSET ${names} ID ${id}`), isManifold: true }
    }
    if (kind < 97) {
      toHead(queue, channel)
      return plain(`SREM ${names}`)
    }
    const [, name] = names.split(' ')
    queue.channels.delete(name as string)
    return plain(`DEL ${names}`)
  }

  #create(name: string, channel: string): PaperRequest {
    if (!this.has(name)) this.make(name)
    const { channels, head } = this.#queue(name)
    if (!channels.has(channel)) channels.set(channel, { next: head, tickets: new Map() })
    return plain(`SETNX ${name} ${channel}`)
  }

  #push(name: string, queue: PaperQueue, count: number): PaperRequest {
    const bodies = Array.from({ length: count }, () => `b${this.#bodies++}`)
    for (const body of bodies) queue.bodies.set(queue.head++, body)
    return plain(`RPUSH ${name} ${bodies.join(' ')}`)
  }

  #purge(name: string, queue: PaperQueue): PaperRequest {
    for (const channel of queue.channels.values()) toHead(queue, channel)
    queue.bodies.clear()
    return { ...plain(`SREM ${name} *`), isManifold: true }
  }

  #queue(name: string): PaperQueue {
    const queue = this.#queues.get(name)
    if (queue === undefined) throw new Error(`there is no queue ${name} on paper`)
    return queue
  }
}

function fetch(names: string, channel: PaperChannel, count: number): PaperRequest {
  return {
    words: `HMGET ${names} ${count}`,
    isManifold: false,
    took: (messages) => {
      for (const { id, ticket } of messages) {
        channel.tickets.set(ticket, id)
        channel.next = Math.max(channel.next, id + 1)
      }
    },
  }
}

function plain(words: string): PaperRequest {
  return { words, isManifold: false, took: () => undefined }
}

function toHead(queue: PaperQueue, channel: PaperChannel): void {
  channel.next = queue.head
  channel.tickets.clear()
}

function isLeft({ next, tickets }: PaperChannel, id: number): boolean {
  return id >= next || [...tickets.values()].includes(id)
}

function byName([one]: readonly [string, unknown], [other]: readonly [string, unknown]): number {
  return one < other ? -1 : 1
}
