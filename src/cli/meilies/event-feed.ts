/**
 * Events of MeiliES streams, asked for and framed as MeiliES' own client has them. A server of leveret that answers in messages
 * of Redis is asked not to.
 */
import type { Clock } from '../../common/clock.js'
import { ProtocolError } from '../../common/errors.js'
import type { Reply } from './reply-reader.js'
import { type Address, RespLink, refusalOf } from './resp-link.js'

export interface StreamEvent {
  readonly stream: string
  readonly number: number
  readonly name: string
  readonly data: Buffer
}

export interface FeedContext {
  readonly clock: Clock
  readonly signal: AbortSignal
}

export class EventFeed implements Disposable {
  readonly #address: Address
  readonly #context: FeedContext
  /** Requests, each with its specs: what is asked for together belongs together. */
  readonly #asked: (readonly string[])[] = []
  #link: RespLink
  #isClassic = false
  /** Specs that were confirmed. */
  #confirmed = 0

  private constructor(address: Address, link: RespLink, context: FeedContext) {
    this.#address = address
    this.#link = link
    this.#context = context
  }

  /** Without specs it is silent until some are added. Throws DisconnectedError, AbortedError. */
  static async open(address: Address, specs: readonly string[], context: FeedContext): Promise<EventFeed> {
    const link = await RespLink.connect(address, context.clock, context.signal)
    const feed = new EventFeed(address, link, context)
    if (specs.length > 0) feed.add(...specs)
    return feed
  }

  /** Whether everything that was asked for is subscribed to; with `$all` nobody can tell. */
  get isConfirmed(): boolean {
    return this.#confirmed >= this.#asked.flat().length
  }

  add(...specs: readonly string[]): void {
    this.#asked.push(specs)
    this.#link.send('subscribe', ...specs)
  }

  /** The next event, or null for a confirmation. Throws DisconnectedError, AbortedError, ProtocolError. */
  async next(): Promise<StreamEvent | null> {
    return await this.#take(await this.#link.next())
  }

  /** The same; undefined when nothing has come after so long. */
  async nextWithin(ms: number): Promise<StreamEvent | null | undefined> {
    const reply = await this.#link.nextWithin(ms, this.#context.clock)
    return reply === null ? undefined : await this.#take(reply)
  }

  [Symbol.dispose](): void {
    this.#link[Symbol.dispose]()
  }

  async #take(reply: Reply): Promise<StreamEvent | null> {
    if (reply.kind === 'error') throw refusalOf(this.#address, reply.text)
    const items = reply.kind === 'list' ? reply.items : []
    const [word] = items
    if (word?.kind === 'line' && word.text === 'subscribed') {
      this.#confirmed++
      return null
    }
    if (word?.kind === 'line' && word.text === 'event') return eventOf(items)
    if (word?.kind === 'bytes' && !this.#isClassic) await this.#beginAgain()
    else throw new ProtocolError('the server sent what is no event')
    return null
  }

  /** Such a server is no MeiliES, and knows how to be asked for its frames. */
  async #beginAgain(): Promise<void> {
    this.#link[Symbol.dispose]()
    this.#isClassic = true
    this.#confirmed = 0
    this.#link = await RespLink.connect(this.#address, this.#context.clock, this.#context.signal)
    await this.#link.ask('subscription-frames', 'classic')
    for (const specs of this.#asked) this.#link.send('subscribe', ...specs)
  }
}

/** Number of the newest event, or null. Throws what `RespLink.ask` throws. */
export async function lastEventNumber(link: RespLink, stream: string): Promise<number | null> {
  const reply = await link.ask('last-event-number', stream)
  const number = reply.kind === 'list' ? reply.items[2] : undefined
  if (number?.kind === 'number') return number.value
  if (number?.kind === 'nil') return null
  throw new ProtocolError('the server sent no number for the last event')
}

export async function streamNames(link: RespLink): Promise<string[]> {
  const reply = await link.ask('stream-names')
  const items = reply.kind === 'list' ? reply.items.slice(1) : []
  return items.flatMap((item) => (item.kind === 'line' ? [item.text] : []))
}

function eventOf([, stream, number, name, data]: readonly Reply[]): StreamEvent {
  const isEvent =
    stream?.kind === 'line' && number?.kind === 'number' && name?.kind === 'line' && data?.kind === 'bytes'
  if (!isEvent) throw new ProtocolError('the server sent an event that is none')
  return { stream: stream.text, number: number.value, name: name.text, data: data.bytes }
}
