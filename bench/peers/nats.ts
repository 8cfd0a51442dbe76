/**
 * Core NATS: `nats-server` with its own defaults, on a free port of the loopback.
 */
import { execFileSync } from 'node:child_process'
import { ChildServer } from '../harness/child-server.js'
import { findProgram } from './find-program.js'

export interface NatsServer {
  readonly file: string
  readonly version: string
}

/** Null when it is not installed. */
export function findNats(): NatsServer | null {
  const file = findProgram('nats-server')
  return file === null ? null : natsServer(file)
}

/** The one named by the variable NATS_SERVER, for a newer JetStream than the system has; else the system's. */
export function findJetStream(): NatsServer | null {
  const named = process.env.NATS_SERVER
  return named === undefined || named === '' ? findNats() : natsServer(named)
}

function natsServer(file: string): NatsServer {
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
