/**
 * leveret as its users start it: `node bin/leveret.js serve`, on a free port, in an empty folder.
 */
import { fileURLToPath } from 'node:url'
import { ChildServer } from '../harness/child-server.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { leveretDialect } from '../wire/leveret-dialect.js'

const BIN = fileURLToPath(new URL('../../bin/leveret.js', import.meta.url))

const CREATE_MS_MAX = 10_000

export interface LeveretOptions {
  /** A folder of its own, where it may leave data. */
  readonly cwd: string
  /** Where node's CPU profile goes; null for none. */
  readonly profiles: string | null
}

export function startLeveret({ cwd, profiles }: LeveretOptions): Promise<ChildServer> {
  const flags = profiles === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
  return ChildServer.start({
    command: process.execPath,
    args: [...flags, BIN, 'serve', '--port', '0'],
    cwd,
    listening: /listening native 127\.0\.0\.1:(\d+)[\s\S]*^ready/m,
  })
}

/** Create the topic of the live benches, for subscribers that come before the publisher. */
export async function createLiveTopic(port: number): Promise<void> {
  const progress = new Progress()
  const answers = leveretDialect.answers()
  const socket = await openRaw(port, leveretDialect.publisherGreeting(), progress, (chunk) => {
    answers.feed(chunk)
    progress.made()
  })
  await progress.until(
    () => answers.isReady,
    CREATE_MS_MAX,
    () => 'the topic was not created',
  )
  socket.destroy()
}
