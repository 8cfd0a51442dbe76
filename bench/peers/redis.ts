/**
 * Redis with an append-only file, on a free port of the loopback.
 */
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { ChildServer } from '../harness/child-server.js'
import { listenOn } from '../harness/listen.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { KEY, streamLength } from '../wire/redis-dialect.js'
import { command } from '../wire/resp.js'
import { findProgram } from './find-program.js'

export interface RedisServer {
  readonly file: string
  readonly version: string
}

const ANSWER_MS_MAX = 10_000

/** When the append-only file is synced: once a second, or before each answer. */
export type AppendFsync = 'everysec' | 'always'

/** Null when it is not installed. */
export function findRedis(): RedisServer | null {
  const file = findProgram('redis-server')
  if (file === null) return null
  const version = /v=(\S+)/.exec(execFileSync(file, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
  return { file, version }
}

/** Without snapshots and without rewrites of the file: both would only cost it time while it is measured. */
export async function startRedis(server: RedisServer, cwd: string, appendFsync: AppendFsync): Promise<ChildServer> {
  const port = await freePort()
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: cwd,
    save: '',
    appendonly: 'yes',
    appendfsync: appendFsync,
    'auto-aof-rewrite-percentage': '0',
  }
  return ChildServer.start({
    command: server.file,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
    cwd,
    listening: /port=(\d+)[\s\S]*Ready to accept connections/,
  })
}

/** How many entries the stream has. */
export async function streamEntries(port: number): Promise<number> {
  return Number(/^:(\d+)/.exec(await ask(port, streamLength()))?.[1] ?? Number.NaN)
}

/** From the first entry on. */
export async function createGroup(port: number, group: string): Promise<void> {
  const answer = await ask(port, command('XGROUP', 'CREATE', KEY, group, '0'))
  if (!answer.startsWith('+OK')) throw new Error(`Redis answered ${answer}`)
}

/** Entries that were given to a consumer of the group and not acked. */
export async function pendingEntries(port: number, group: string): Promise<number> {
  return Number(/^\*4\r\n:(\d+)/.exec(await ask(port, command('XPENDING', KEY, group)))?.[1] ?? Number.NaN)
}

/** What a server that speaks RESP answers; its last byte is that of a line. */
export async function ask(port: number, request: Buffer): Promise<string> {
  const progress = new Progress()
  let text = ''
  const socket = await openRaw(port, request, progress, (chunk) => {
    text += chunk.toString('latin1')
    progress.made()
  })
  await progress.until(
    () => text.endsWith('\r\n'),
    ANSWER_MS_MAX,
    () => 'a server that speaks RESP gave no answer',
  )
  socket.destroy()
  return text
}

/** Redis cannot pick one itself. */
async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listenOn(server)
  await new Promise((resolve) => {
    server.close(resolve)
  })
  return port
}
