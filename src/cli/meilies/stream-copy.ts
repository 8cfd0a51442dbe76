/**
 * Copies the events of a stream from one server to another so that they keep their numbers: what the destination has is where it
 * goes on, and what it has must be what the source has. The source may be MeiliES itself, which is asked for bounded ranges only: of
 * others it delivered one old event.
 */
import type { Clock } from '../../common/clock.js'
import { ProtocolError, WrongOffsetError } from '../../common/errors.js'
import { EventFeed, lastEventNumber, type StreamEvent } from './event-feed.js'
import { type Address, type RespLink, refusalOf, shownAddress } from './resp-link.js'

export interface CopyContext {
  readonly from: Address
  readonly to: Address
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Name of an event that stands for one that the source lost; null is to stop there. */
  readonly fill: string | null
}

/** Publishes under way. */
const WINDOW_EVENTS = 256
const WINDOW_BYTES = 4 * 1024 * 1024
/** So often the destination is asked whether its numbers are those of the source. */
const VERIFY_EVENTS = 10_000
/** MeiliES gave numbers before it stored events: one that is not there after this time never will be. */
const SILENCE_MS = 10_000
const MISSING_MS = 2_000

export interface Copied {
  readonly stream: string
  /** Events that the destination had before. */
  readonly found: number
  readonly copied: number
  readonly filled: number
}

export class StreamCopier {
  readonly #source: RespLink
  readonly #destination: RespLink
  readonly #context: CopyContext
  /** Streams of which what the destination had was looked at. */
  readonly #compared = new Set<string>()
  /** Bytes of each publish under way. */
  readonly #underway: number[] = []
  #underwayBytes = 0
  #filled = 0

  constructor(source: RespLink, destination: RespLink, context: CopyContext) {
    this.#source = source
    this.#destination = destination
    this.#context = context
  }

  /** All that the source has now. Throws WrongOffsetError when numbers would not be kept, and what links throw. */
  async copy(stream: string): Promise<Copied> {
    const end = ((await lastEventNumber(this.#source, stream)) ?? -1) + 1
    const found = ((await lastEventNumber(this.#destination, stream)) ?? -1) + 1
    if (found > end) {
      throw new WrongOffsetError(
        `${stream}: ${shownAddress(this.#context.to)} has ${found} events, and the source ${end}; it is no copy`,
      )
    }
    if (found > 0 && !this.#compared.has(stream)) await this.#compareLast(stream, found - 1)
    this.#compared.add(stream)
    this.#filled = 0
    let next = found
    while (next < end) {
      const upTo = Math.min(end, next + VERIFY_EVENTS)
      await this.#copyRange(stream, next, upTo)
      await this.#verify(stream, upTo)
      next = upTo
    }
    return { stream, found, copied: end - found, filled: this.#filled }
  }

  /** What was there before must have come from here. */
  async #compareLast(stream: string, number: number): Promise<void> {
    const { from, to } = this.#context
    const theirs = (await this.#events(to, stream, number, number + 1)).get(number)
    const ours = (await this.#events(from, stream, number, number + 1)).get(number)
    if (ours === undefined && this.#context.fill !== null && theirs?.name === this.#context.fill) return
    if (ours !== undefined && theirs !== undefined && ours.name === theirs.name && ours.data.equals(theirs.data)) return
    throw new WrongOffsetError(
      `${stream}: event ${number} of ${shownAddress(to)} is not that of the source; it is no copy`,
    )
  }

  async #copyRange(stream: string, from: number, to: number): Promise<void> {
    using feed = await EventFeed.open(this.#context.from, [`${stream}:${from}:${to}`], this.#context)
    let next = from
    while (next < to) {
      const event = await feed.nextWithin(SILENCE_MS)
      if (event === null) continue
      const number = event?.number ?? to
      // What came late was asked for by itself.
      if (number < next) continue
      // Where something later came, what is missing is missing; where nothing comes, the source may only be slow.
      const patienceMs = event === undefined ? SILENCE_MS : MISSING_MS
      if (event === undefined) await lastEventNumber(this.#source, stream)
      if (next < number) await this.#publishMissing(stream, next, number, patienceMs)
      next = number
      if (event === undefined || number >= to) continue
      await this.#publish(event)
      next++
    }
    while (this.#underway.length > 0) await this.#answer()
  }

  /** Those that were not in their places: stored late, or never. */
  async #publishMissing(stream: string, first: number, end: number, patienceMs: number): Promise<void> {
    const { fill, from } = this.#context
    const late = await this.#events(from, stream, first, end, patienceMs)
    for (let number = first; number < end; number++) {
      const event = late.get(number)
      if (event === undefined && fill === null) {
        const hint = 'with --fill <name> an empty event of that name takes its place'
        throw new WrongOffsetError(`${stream}: ${shownAddress(from)} has no event ${number}; ${hint}`)
      }
      if (event === undefined) this.#filled++
      await this.#publish(event ?? { stream, number, name: fill ?? '', data: Buffer.alloc(0) })
    }
  }

  /** Those of a few that there are. */
  async #events(address: Address, stream: string, first: number, end: number, patienceMs = SILENCE_MS) {
    const events = new Map<number, StreamEvent>()
    using feed = await EventFeed.open(address, [`${stream}:${first}:${end}`], this.#context)
    while (events.size < end - first) {
      const event = await feed.nextWithin(patienceMs)
      if (event === undefined) break
      if (event !== null) events.set(event.number, event)
    }
    return events
  }

  async #publish({ stream, name, data }: StreamEvent): Promise<void> {
    const isFull = (): boolean =>
      this.#underway.length >= WINDOW_EVENTS || this.#underwayBytes + data.length > WINDOW_BYTES
    while (this.#underway.length > 0 && isFull()) await this.#answer()
    this.#destination.send('publish', stream, name, data)
    this.#underway.push(data.length)
    this.#underwayBytes += data.length
  }

  async #answer(): Promise<void> {
    const reply = await this.#destination.next()
    if (reply.kind === 'error') throw refusalOf(this.#context.to, reply.text)
    if (reply.kind !== 'line' || reply.text !== 'OK') throw new ProtocolError('the server did not answer OK')
    this.#underwayBytes -= this.#underway.shift() ?? 0
  }

  async #verify(stream: string, end: number): Promise<void> {
    const last = await lastEventNumber(this.#destination, stream)
    if (last === end - 1) return
    throw new WrongOffsetError(
      `${stream}: event ${end - 1} of the source is not the last of ${shownAddress(this.#context.to)}, which is ${last}; somebody else publishes to it`,
    )
  }
}
