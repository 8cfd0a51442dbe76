/**
 * Lives of a server with the Floki dialect, on a disk that the test may take away from it.
 */
import type { TestContext } from 'node:test'
import { App } from '../../src/app.js'
import { configWith } from '../../src/config/load.js'
import type { Config } from '../../src/config/schema.js'
import { forgetHolder } from '../storage/log/simulation.js'
import type { FaultyFileSystem } from './faulty-file-system.js'
import { FlokiPeer } from './floki-server.js'
import { RespPeer } from './resp-peer.js'

export interface FlokiLife {
  readonly app: App
  /** A connection that ends with the test. */
  connect(): Promise<FlokiPeer>
}

/** Ends with the test, if not before. */
export async function liveOn(t: TestContext, fs: FaultyFileSystem, options: Partial<Config> = {}): Promise<FlokiLife> {
  const config = configWith({ port: 0, store: 'log', data: '/data', floki: 0, ...options })
  const app = new App(config, { fileSystem: fs.process() })
  await app.start()
  // One whose disk is dead cannot be closed.
  t.after(() => app.stop({ deadlineMs: 0 }).catch(() => undefined))
  const port = app.listeners.find(({ name }) => name === 'floki')?.port ?? 0
  const connect = async (): Promise<FlokiPeer> => {
    const peer = new FlokiPeer(await RespPeer.connect(port))
    t.after(() => peer.raw[Symbol.dispose]())
    return peer
  }
  return { app, connect }
}

/** The machine goes on with another process: what was written is there. */
export function kill(fs: FaultyFileSystem): void {
  fs.forgetPlans()
  fs.kill()
  forgetHolder(fs)
}

/** What was not synced may be gone. */
export function cutPower(fs: FaultyFileSystem): void {
  fs.forgetPlans()
  fs.powerLoss()
  forgetHolder(fs)
}
