/**
 * Core NATS: `nats-server` with its own defaults, on a free port of the loopback.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { ChildServer } from '../harness/child-server.js'

export interface NatsServer {
  readonly file: string
  readonly version: string
}

/** Null when it is not installed. Debian puts servers into sbin, which the PATH of a plain user leaves out. */
export function findNats(): NatsServer | null {
  const folders = [process.env.PATH ?? '', '/usr/sbin', '/usr/local/sbin'].join(delimiter).split(delimiter)
  const file = folders.map((folder) => join(folder, 'nats-server')).find(isExecutable)
  if (file === undefined) return null
  const version = execFileSync(file, ['--version'], { encoding: 'utf8' }).replace('nats-server:', '').trim()
  return { file, version }
}

export function startNats(server: NatsServer, cwd: string): Promise<ChildServer> {
  return ChildServer.start({
    command: server.file,
    args: ['--addr', '127.0.0.1', '--port', '-1'],
    cwd,
    listening: /Listening for client connections on 127\.0\.0\.1:(\d+)[\s\S]*Server is ready/,
  })
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false // missing or not executable: the same answer to the only question asked
  }
}
