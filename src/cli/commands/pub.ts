/**
 * `leveret pub`: standard input to a topic, one record a line. Many publishes are under way at once, up to a bound;
 * the client puts them into frames.
 */
import { addAbortSignal } from 'node:stream'
import type { Client, Receipt, Topic } from '../../../client/index.js'
import type { Timer } from '../../common/clock.js'
import {
  AbortedError,
  asLeveretError,
  InvalidArgumentError,
  type LeveretError,
  TopicNotFoundError,
} from '../../common/errors.js'
import type { Durability } from '../../model/topic.js'
import { LineSplitter } from '../lines.js'
import { type ClientOptions, withClient } from '../open-client.js'
import { Progress, perSecond } from '../progress.js'
import { EXIT_FAILURE, EXIT_OK, LineOutput, say, type Terminal } from '../terminal.js'

export interface PubOptions extends ClientOptions {
  readonly ndjson?: boolean
  readonly key?: string
  readonly durability?: Durability
}

const IN_FLIGHT_RECORDS_MAX = 32_768
const IN_FLIGHT_BYTES_MAX = 16 * 1024 * 1024
/** Who interrupts waits no longer for the receipts of what is under way. */
const GRACE_MS = 1_000
/** No frame is larger, so no record is. */
const LINE_BYTES_MAX = 256 * 1024 * 1024

export function pub(name: string, options: PubOptions, terminal: Terminal): Promise<number> {
  return withClient(options, terminal, (client) => new Publication(client, name, options, terminal).run())
}

class Publication {
  readonly #client: Client
  readonly #topic: Topic<Uint8Array>
  readonly #options: PubOptions
  readonly #terminal: Terminal
  readonly #progress: Progress
  readonly #safety: { readonly durability?: Durability }
  /** Aborted by the first failure, so that an input which stays silent does not hold the report back. */
  readonly #reading = new AbortController()
  #acknowledged = 0
  #duplicates = 0
  #unacknowledged = 0
  #withoutKey = 0
  #lines = 0
  #bytesRead = 0
  #recordsInFlight = 0
  #bytesInFlight = 0
  /** What ended the publishing. */
  #failure: LeveretError | null = null
  /** Why the latest record was not acknowledged; null if it was never sent. */
  #refusal: LeveretError | null = null
  /** Set while somebody waits for room or for the last receipt. */
  #wake: (() => void) | null = null
  #warning: Promise<void> | null = null
  /** Set when interrupted. */
  #grace: Timer | null = null
  /** Set when the grace is over. */
  #closing: Promise<void> | null = null

  constructor(client: Client, name: string, options: PubOptions, terminal: Terminal) {
    this.#client = client
    this.#topic = client.topic(name)
    this.#options = options
    this.#safety = options.durability === undefined ? {} : { durability: options.durability }
    this.#terminal = terminal
    this.#progress = new Progress(terminal)
  }

  async run(): Promise<number> {
    const { interrupted } = this.#terminal
    const onInterrupt = (): void => this.#onInterrupt()
    interrupted.addEventListener('abort', onInterrupt, { once: true })
    try {
      await this.#publishInput()
    } catch (error) {
      // A failure ends the reading, which then fails itself: the first one is the cause.
      this.#fail(error)
    }
    await this.#until(() => this.#recordsInFlight === 0)
    await this.#warning
    interrupted.removeEventListener('abort', onInterrupt)
    this.#grace?.cancel()
    await this.#closing
    this.#progress.clear()
    await this.#report()
    if (this.#failure === null) return EXIT_OK
    this.#reportFailure(this.#failure)
    return EXIT_FAILURE
  }

  #onInterrupt(): void {
    this.#fail(new AbortedError('interrupted'))
    this.#grace = this.#terminal.clock.after(GRACE_MS, () => {
      // What has no receipt fails now, with the reason why.
      this.#closing = this.#client.close()
    })
  }

  async #publishInput(): Promise<void> {
    const splitter = new LineSplitter(LINE_BYTES_MAX)
    for await (const chunk of addAbortSignal(this.#reading.signal, this.#terminal.stdin)) {
      const bytes: Buffer = chunk
      this.#bytesRead += bytes.length
      await this.#publishLines(splitter.push(bytes))
      this.#progress.update(this.#acknowledged, this.#bytesRead)
    }
    await this.#publishLines(splitter.end())
  }

  async #publishLines(lines: readonly Buffer[]): Promise<void> {
    for (const line of lines) {
      if (this.#failure !== null) return
      this.#lines++
      if (this.#options.ndjson === true && line.length === 0) continue
      this.#publish(line)
      if (this.#recordsInFlight >= IN_FLIGHT_RECORDS_MAX || this.#bytesInFlight >= IN_FLIGHT_BYTES_MAX) {
        await this.#until(() => this.#isHalfEmpty())
      }
    }
  }

  #publish(line: Buffer): void {
    const key = this.#options.ndjson === true ? this.#keyOf(line) : null
    const before = this.#warning === null ? this.#isKeptOrHeard() : null
    this.#recordsInFlight++
    this.#bytesInFlight += line.length
    const published = this.#topic.publish(line, key === null ? this.#safety : { ...this.#safety, key })
    published.then(
      (receipt) => this.#onReceipt(receipt, line.length),
      (error: unknown) => {
        this.#onFailure(asLeveretError(error), line.length)
      },
    )
    // The records are stored whether or not their topic can be described.
    if (before !== null) this.#warning = this.#warnWhenNobodyKeeps(before, published).catch(() => undefined)
  }

  #onReceipt(receipt: Receipt, bytes: number): void {
    this.#acknowledged++
    if (receipt.duplicate) this.#duplicates++
    this.#settle(bytes)
  }

  #onFailure(error: LeveretError, bytes: number): void {
    this.#unacknowledged++
    // The end of the client is no reason: it came after one.
    if (error.code !== 'LVT_CLOSED') this.#refusal = error
    this.#fail(error)
    this.#settle(bytes)
  }

  #settle(bytes: number): void {
    this.#recordsInFlight--
    this.#bytesInFlight -= bytes
    this.#wake?.()
  }

  #fail(error: unknown): void {
    this.#failure ??= asLeveretError(error)
    this.#reading.abort()
    this.#wake?.()
  }

  /** Resolves when the condition holds; it is asked again with each receipt. */
  #until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise((resolve) => {
      this.#wake = () => {
        if (!condition()) return
        this.#wake = null
        resolve()
      }
    })
  }

  /** Room is given back in halves, so that the input is read in blocks and not line by line. */
  #isHalfEmpty(): boolean {
    return this.#recordsInFlight <= IN_FLIGHT_RECORDS_MAX / 2 && this.#bytesInFlight <= IN_FLIGHT_BYTES_MAX / 2
  }

  #keyOf(line: Buffer): string | null {
    let value: unknown
    try {
      value = JSON.parse(line.toString())
    } catch (cause) {
      throw new InvalidArgumentError(`line ${this.#lines} of the input is not JSON`, { cause })
    }
    const { key } = this.#options
    if (key === undefined) return null
    const field =
      typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? Reflect.get(value, key) : null
    if (field === null) this.#withoutKey++
    if (Number.isInteger(field) && !Number.isSafeInteger(field)) {
      throw new InvalidArgumentError(
        `line ${this.#lines}: the number in "${key}" is too large to be a key exactly; make it a string`,
      )
    }
    return field === null || typeof field === 'string' ? field : JSON.stringify(field)
  }

  /**
   * Asked twice, ahead of the first record and after its receipt: a subscriber that was there at either time has had
   * its chance, and a new topic exists the second time only.
   */
  async #warnWhenNobodyKeeps(before: Promise<boolean>, first: Promise<Receipt>): Promise<void> {
    if (await before) return
    await first
    if (await this.#isKeptOrHeard()) return
    this.#progress.clear()
    say(
      this.#terminal,
      `warning: topic "${this.#topic.name}" keeps nothing and nobody is subscribed to it, so these records are gone; ` +
        'a topic made by `leveret topics create NAME --retain 1h` keeps them',
    )
  }

  async #isKeptOrHeard(): Promise<boolean> {
    try {
      const { settings, subscribers } = await this.#client.describe(this.#topic.name)
      return settings === null || settings.retention !== 'none' || subscribers > 0
    } catch (error) {
      if (error instanceof TopicNotFoundError) return false
      throw error
    }
  }

  async #report(): Promise<void> {
    const output = new LineOutput(this.#terminal.stdout)
    const records = this.#acknowledged
    const elapsedMs = Math.round(this.#progress.elapsedMs)
    const recordsPerSecond = perSecond(records, elapsedMs)
    const summary = { topic: this.#topic.name, records, duplicates: this.#duplicates, elapsedMs, recordsPerSecond }
    if (this.#options.json === true) output.write(JSON.stringify(summary))
    else {
      const stored = `${records - this.#duplicates} stored, ${this.#duplicates} duplicates`
      const rate = `${(elapsedMs / 1000).toFixed(2)} s, ${recordsPerSecond} records/s`
      output.write(`published ${records} records to "${this.#topic.name}": ${stored}, ${rate}`)
    }
    await output.end()
    if (this.#withoutKey === 0) return
    say(
      this.#terminal,
      `warning: ${this.#withoutKey} lines have no field "${this.#options.key}"; their records have no key`,
    )
  }

  #reportFailure({ message }: LeveretError): void {
    say(this.#terminal, message)
    if (this.#unacknowledged === 0) return
    const why = this.#refusal?.message ?? 'the client was closed before they were sent'
    const records = this.#unacknowledged === 1 ? '1 record was' : `${this.#unacknowledged} records were`
    say(this.#terminal, `${records} not acknowledged${why === message ? '' : `: ${why}`}`)
  }
}
