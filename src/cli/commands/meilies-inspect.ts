/**
 * `leveret meilies-inspect`: a command of the shell for each event of a subscription, one after the other, as MeiliES' own tool ran
 * it: names and number in its environment, data on its standard input. Goes on after breaks, and after the next start where the last one
 * was.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { AbortedError, UnavailableError } from '../../common/errors.js'
import { throughBreaks } from '../meilies/breaks.js'
import { EventFeed, lastEventNumber, type StreamEvent, streamNames } from '../meilies/event-feed.js'
import { Positions } from '../meilies/positions.js'
import { type Address, RespLink } from '../meilies/resp-link.js'
import { EXIT_FAILURE, EXIT_OK, say, type Terminal } from '../terminal.js'

export interface MeiliesInspectOptions {
  readonly hostname: string
  readonly port: number
  readonly stream: string
  /** File of the position. */
  readonly position?: string
}

/** The shell of MeiliES' own tool. */
const SHELL = 'bash'

export async function meiliesInspect(
  command: string,
  options: MeiliesInspectOptions,
  terminal: Terminal,
): Promise<number> {
  const address = { host: options.hostname, port: options.port }
  const positions = Positions.open(options.position ?? null, options.stream)
  if (!positions.isEmpty && positions.isDone) return EXIT_OK
  try {
    return await throughBreaks(terminal, async (connected) => {
      if (!options.stream.includes(':')) await beginAtEnd(address, options.stream, positions, terminal)
      using feed = await EventFeed.open(address, positions.specs(), contextOf(terminal))
      connected()
      return await runForEach(feed, command, positions, terminal)
    })
  } catch (error) {
    if (error instanceof AbortedError && terminal.interrupted.aborted) return EXIT_OK
    throw error
  }
}

/** Until a command fails, or the end of the range is there. */
async function runForEach(feed: EventFeed, command: string, positions: Positions, terminal: Terminal): Promise<number> {
  for (;;) {
    const event = await feed.next()
    // A server that knows nothing of places beside $all begins where $all does.
    if (event === null && positions.isDone) return EXIT_OK
    if (event === null || event.number < (positions.next(event.stream) ?? 0)) continue
    const failure = await run(command, event, terminal)
    if (failure !== null) {
      say(terminal, `the command ${failure} at event ${event.number} of ${event.stream}`)
      return EXIT_FAILURE
    }
    positions.moveTo([[event.stream, event.number + 1]])
    if (positions.isDone) return EXIT_OK
    if (terminal.interrupted.aborted) throw new AbortedError('interrupted')
  }
}

/** Without a number a subscription begins with what comes next, and nothing that comes next is to be missed after a break. */
async function beginAtEnd(address: Address, stream: string, positions: Positions, terminal: Terminal): Promise<void> {
  using link = await RespLink.connect(address, terminal.clock, terminal.interrupted)
  const streams = stream === '$all' ? await streamNames(link) : [stream]
  const nexts: [string, number][] = []
  if (positions.isEmpty) {
    for (const name of streams) nexts.push([name, ((await lastEventNumber(link, name)) ?? -1) + 1])
  }
  if (nexts.length > 0) positions.moveTo(nexts)
}

/** How it failed, or null. */
async function run(command: string, { stream, number, name, data }: StreamEvent, terminal: Terminal) {
  const env = {
    ...terminal.env,
    MEILIES_STREAM_NAME: stream,
    MEILIES_EVENT_NAME: name,
    MEILIES_EVENT_NUMBER: String(number),
  }
  const child = spawn(SHELL, ['-c', command], { env, stdio: ['pipe', 'inherit', 'inherit'] })
  // A command need not read what it is given.
  child.stdin.on('error', () => undefined)
  child.stdin.end(data)
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  try {
    const [code, signal] = await ended
    if (code === 0) return null
    return code === null ? `was ended by ${signal}` : `ended with ${code}`
  } catch (cause) {
    throw new UnavailableError(`cannot run ${SHELL}`, { cause })
  }
}

function contextOf({ clock, interrupted }: Terminal) {
  return { clock, signal: interrupted }
}
