/**
 * leveret as its users start it: `node bin/leveret.js serve`, on a free port, in an empty folder.
 */
import { fileURLToPath } from 'node:url'
import { ServerFrameDecoder } from '../../src/protocol/decode-server.js'
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import type { DescriptionFrame } from '../../src/protocol/frames.js'
import { ChildServer } from '../harness/child-server.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { FRAME_BYTES_MAX, leveretDialect, TOPIC } from '../wire/leveret-dialect.js'
import { describe } from '../wire/leveret-frames.js'

const BIN = fileURLToPath(new URL('../../bin/leveret.js', import.meta.url))

const ANSWER_MS_MAX = 10_000

export interface LeveretOptions {
  /** A folder of its own, where it may leave data. */
  readonly cwd: string
  /** Where node's CPU profile goes; null for none. */
  readonly profiles: string | null
  /** The one that is spoken to, and whose port is the server's. */
  readonly protocol: 'native' | 'nats-streaming' | 'floki' | 'meilies'
}

export function startLeveret({ cwd, profiles, protocol }: LeveretOptions): Promise<ChildServer> {
  const flags = profiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
  const ports = protocol === 'native' ? [] : [`--${protocol}`, '0']
  return ChildServer.start({
    command: process.execPath,
    args: [...flags, BIN, 'serve', '--port', '0', ...ports],
    cwd,
    listening: new RegExp(`listening ${protocol} 127\\.0\\.0\\.1:(\\d+)[\\s\\S]*^ready`, 'm'),
  })
}

/** Create the topic of the live benches, for subscribers that come before the publisher. */
export async function createLiveTopic(port: number): Promise<void> {
  const progress = new Progress()
  const answers = leveretDialect.answers()
  const socket = await openRaw(port, leveretDialect.publisherGreeting(0), progress, (chunk) => {
    answers.feed(chunk)
    progress.made()
  })
  await progress.until(
    () => answers.isReady,
    ANSWER_MS_MAX,
    () => 'the topic was not created',
  )
  socket.destroy()
}

/** How many records the topic of the durable benches has. */
export async function keptRecords(port: number): Promise<number> {
  const { topics } = await described(port, describe(1, TOPIC))
  const partitions = topics.flatMap((topic) => topic.partitions)
  return partitions.reduce((total, { logStart, end }) => total + end - logStart, 0)
}

/** How many records of that topic a group is not done with. */
export async function groupLag(port: number, group: string): Promise<number> {
  const { groups } = await described(port, describe(1, TOPIC, group))
  return groups[0]?.lag ?? Number.NaN
}

async function described(port: number, request: Buffer): Promise<DescriptionFrame> {
  const progress = new Progress()
  const splitter = new FrameSplitter(FRAME_BYTES_MAX)
  let answer: DescriptionFrame | null = null
  const socket = await openRaw(port, request, progress, (chunk) => {
    splitter.push(chunk)
    while (splitter.next()) {
      const frame = new ServerFrameDecoder().decode(splitter.buffer, splitter.start, splitter.end)
      if (frame.kind !== 'description') throw new Error(`leveret answered ${JSON.stringify(frame)}`)
      answer = frame
    }
    progress.made()
  })
  await progress.until(
    () => answer !== null,
    ANSWER_MS_MAX,
    () => 'the topic was not described',
  )
  socket.destroy()
  // Said by the condition above, which the compiler does not see through.
  return answer as unknown as DescriptionFrame
}
