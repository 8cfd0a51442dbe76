/**
 * `leveret meilies-migrate`: all events of one server to another, with their numbers, and then whatever comes. Where it goes on is
 * what the destination has, so that it may be stopped, killed and started again at any time.
 */
import { lookup } from 'node:dns/promises'
import { AbortedError, InvalidArgumentError } from '../../common/errors.js'
import { isLoopback } from '../../config/load.js'
import { rest, throughBreaks } from '../meilies/breaks.js'
import { EventFeed, streamNames } from '../meilies/event-feed.js'
import { type Address, RespLink, shownAddress } from '../meilies/resp-link.js'
import { type Copied, type CopyContext, StreamCopier } from '../meilies/stream-copy.js'
import { EXIT_FAILURE, EXIT_OK, EXIT_USAGE, say, type Terminal } from '../terminal.js'

export interface MeiliesMigrateOptions {
  readonly from: Address
  readonly to: Address
  /** False when `--no-follow` was given. */
  readonly follow: boolean
  readonly fill?: string
}

/** So often new streams are looked for. */
const LOOK_MS = 1_000
/** So often all streams are compared: MeiliES may have stored something late, or told nobody. */
const COMPARE_MS = 10_000
/** Streams that are subscribed to; others are found when all are compared. */
const ALARMS_MAX = 5_000
/** A stream of this name was possible in MeiliES, and could not be read. */
const UNREADABLE = '$all'

export async function meiliesMigrate(
  names: readonly string[],
  options: MeiliesMigrateOptions,
  terminal: Terminal,
): Promise<number> {
  if (await isSame(options.from, options.to)) {
    say(terminal, `${shownAddress(options.from)} and ${shownAddress(options.to)} are the same server`)
    return EXIT_USAGE
  }
  const migration = new Migration(names, options, terminal)
  try {
    if (options.follow) await throughBreaks(terminal, (connected) => migration.run(connected))
    else await migration.run(() => undefined)
    return EXIT_OK
  } catch (error) {
    if (!(error instanceof AbortedError && terminal.interrupted.aborted)) throw error
    say(terminal, migration.isWhole ? 'stopped' : 'stopped before all was copied; the same command goes on')
    return migration.isWhole ? EXIT_OK : EXIT_FAILURE
  }
}

class Migration {
  readonly #names: readonly string[]
  readonly #options: MeiliesMigrateOptions
  readonly #terminal: Terminal
  readonly #context: CopyContext
  /** Streams that something has come to since they were copied. */
  #changed = new Set<string>()
  #wake: (() => void) | null = null
  #isWhole = false

  constructor(names: readonly string[], options: MeiliesMigrateOptions, terminal: Terminal) {
    this.#names = names
    this.#options = options
    this.#terminal = terminal
    const { from, to, fill = null } = options
    this.#context = { from, to, fill, clock: terminal.clock, signal: terminal.interrupted }
  }

  /** Everything that there was at the beginning is at the destination. */
  get isWhole(): boolean {
    return this.#isWhole
  }

  /** Until everything is copied, or for ever. Throws DisconnectedError, AbortedError, and why it cannot be copied. */
  async run(connected: () => void): Promise<void> {
    const { clock, signal } = this.#context
    using source = await RespLink.connect(this.#options.from, clock, signal)
    using destination = await RespLink.connect(this.#options.to, clock, signal)
    connected()
    await this.#requireStreams(source)
    const copier = new StreamCopier(source, destination, this.#context)
    if (!this.#options.follow) {
      for (const name of await this.#streams(source)) this.#tell(await copier.copy(name))
      this.#isWhole = true
      return
    }
    using alarm = await EventFeed.open(this.#options.from, [], this.#context)
    await Promise.race([this.#listen(alarm), this.#follow(source, copier, alarm)])
  }

  /** Copy what there is, and again what has changed. */
  async #follow(source: RespLink, copier: StreamCopier, alarm: EventFeed): Promise<void> {
    const { clock } = this.#context
    const known = new Set<string>()
    let comparedMs = clock.monotonic()
    for (;;) {
      for (const name of await this.#streams(source)) {
        if (known.has(name)) continue
        known.add(name)
        if (known.size <= ALARMS_MAX) alarm.add(name)
        this.#changed.add(name)
      }
      // What comes from here on is heard of, and the copy has what came before.
      while (!alarm.isConfirmed) await this.#woken()
      while (this.#changed.size > 0) await this.#copyChanged(copier)
      if (!this.#isWhole) say(this.#terminal, `${known.size} streams are copied; following them`)
      this.#isWhole = true
      await this.#woken()
      if (clock.monotonic() - comparedMs < COMPARE_MS) continue
      comparedMs = clock.monotonic()
      for (const name of known) this.#changed.add(name)
    }
  }

  async #copyChanged(copier: StreamCopier): Promise<void> {
    const changed = this.#changed
    this.#changed = new Set()
    for (const name of changed) {
      const copied = await copier.copy(name)
      if (!this.#isWhole) this.#tell(copied)
    }
  }

  /** What comes is only counted: all events go the way that keeps their order. */
  async #listen(alarm: EventFeed): Promise<never> {
    for (;;) {
      const event = await alarm.next()
      if (event !== null) this.#changed.add(event.stream)
      this.#wake?.()
    }
  }

  /** Until something is heard from the source, or for a while. */
  async #woken(): Promise<void> {
    const { clock, signal } = this.#context
    const heard = new Promise<void>((resolve) => {
      this.#wake = resolve
    })
    await Promise.race([heard, rest(clock, LOOK_MS, signal)])
  }

  /** A name that was mistyped would be followed for ever, and copied as nothing. */
  async #requireStreams(source: RespLink): Promise<void> {
    if (this.#names.length === 0) return
    const known = new Set(await streamNames(source))
    const missing = this.#names.filter((name) => name !== UNREADABLE && !known.has(name))
    if (missing.length === 0) return
    throw new InvalidArgumentError(`${shownAddress(this.#options.from)} has no stream ${missing.join(', ')}`)
  }

  async #streams(source: RespLink): Promise<readonly string[]> {
    const names = this.#names.length > 0 ? this.#names : await streamNames(source)
    return names.filter((name) => name !== UNREADABLE)
  }

  #tell({ stream, found, copied, filled }: Copied): void {
    const lost = filled === 0 ? '' : `, ${filled} of them in the place of lost ones`
    say(this.#terminal, `${stream}: ${copied} events copied${lost}, ${found} were there`)
  }
}

async function isSame(one: Address, other: Address): Promise<boolean> {
  if (one.port !== other.port) return false
  const [addresses, others] = await Promise.all([addressesOf(one.host), addressesOf(other.host)])
  return addresses.some((address) => others.includes(address))
}

/** All addresses that lead back to this machine are one. */
async function addressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true })
  return found.map(({ address }) => (isLoopback(address) || /^(?:0\.0\.0\.0|::)$/.test(address) ? 'here' : address))
}
