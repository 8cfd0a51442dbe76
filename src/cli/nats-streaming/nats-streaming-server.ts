/**
 * `nats-streaming-server`, also as `leveret nats-streaming-server`: takes the original's flags and files, and serves its clients from
 * leveret. Prints what the original prints, for the tools that read it.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, isAbsolute, join } from 'node:path'
import process from 'node:process'
import { App, type ListenerInfo } from '../../app.js'
import { ConfigError, LeveretError } from '../../common/errors.js'
import { systemRandom } from '../../common/random.js'
import type { Config } from '../../config/schema.js'
import { newServerId, SERVER_NAME } from '../../gateways/nats-streaming/core/server-info.js'
import type { Journal } from '../../gateways/nats-streaming/streaming/journal.js'
import { keepHeapRoom } from '../heap-room.js'
import { untilInterrupted } from '../interruption.js'
import { ProblemWatch } from '../problem-watch.js'
import { isSystemError, systemErrorText } from '../system-errors.js'
import { EXIT_FAILURE, EXIT_OK, EXIT_USAGE, type Terminal } from '../terminal.js'
import { limitLines } from './banner.js'
import { OptionMistake } from './option-mistake.js'
import { sendSignal } from './process-signals.js'
import { NatsServerLog } from './server-log.js'
import { readServerOptions, type ServerOptions } from './server-options.js'
import { serverConfig } from './server-settings.js'
import { usageText } from './usage.js'

/** The releases whose behaviour this is. */
const STREAMING_VERSION = '0.25.6'
const NATS_VERSION = '2.9.24'
const EXIT_TERMINATED = 143
/** Its listener. */
const DIALECT = 'nats-streaming'
/** 22 characters, as tools expect. */
const SERVER_ID_BYTES = 11
/** Of the store FILE, which leveret does not read. */
const ORIGINAL_FILES = ['server.dat', 'clients.dat']

export async function natsStreamingServer(
  words: readonly string[],
  terminal: Terminal,
  version: string,
): Promise<number> {
  const read = () => readServerOptions(words, { env: terminal.env, readFile: readConfigFile })
  try {
    const asked = read()
    switch (asked.do) {
      case 'help':
      case 'help-tls':
        terminal.stdout.write(usageText())
        return EXIT_OK
      case 'version':
        terminal.stdout.write(`nats-streaming-server version ${STREAMING_VERSION}, nats-server: v${NATS_VERSION}\n`)
        return EXIT_OK
      case 'signal': {
        const problem = sendSignal(asked.signal)
        if (problem !== null) terminal.stderr.write(`nats-streaming-server: ${problem}\n`)
        return problem === null ? EXIT_OK : EXIT_FAILURE
      }
      case 'test-config':
        // It opens nothing.
        makeApp(asked.options, serverConfig(asked.options, terminal.env))
        terminal.stderr.write('nats-streaming-server: configuration is valid\n')
        return EXIT_OK
      case 'run': {
        const reread = (): ServerOptions | null => {
          const again = read()
          return again.do === 'run' ? again.options : null
        }
        return await new Server(asked.options, terminal, version).run(asked.notes, reread)
      }
    }
  } catch (error) {
    if (!(error instanceof OptionMistake || error instanceof ConfigError || isSystemError(error))) throw error
    const text = isSystemError(error) ? systemErrorText(error) : error.message
    terminal.stderr.write(`nats-streaming-server: ${text}\n`)
    if (error instanceof OptionMistake && /^(flag|bad flag|invalid value)/.test(text)) {
      // As the original does; and again where it is seen.
      terminal.stderr.write(`${usageText()}\nnats-streaming-server: ${text}\n`)
      return EXIT_USAGE
    }
    return EXIT_FAILURE
  }
}

class Server {
  readonly #options: ServerOptions
  readonly #terminal: Terminal
  readonly #version: string
  readonly #log: NatsServerLog
  /** Of its NATS part. */
  readonly #natsId = newServerId(systemRandom)

  constructor(options: ServerOptions, terminal: Terminal, version: string) {
    this.#options = options
    this.#terminal = terminal
    this.#version = version
    this.#log = new NatsServerLog(options.log, terminal.stderr, terminal.clock, process.pid)
  }

  async run(notes: readonly string[], reread: () => ServerOptions | null): Promise<number> {
    try {
      return await this.#serve(notes, reread)
    } catch (error) {
      // A defect tells its stack.
      if (!(error instanceof LeveretError || isSystemError(error))) throw error
      const text = isSystemError(error) ? systemErrorText(error) : error.message
      this.#log.line('FTL', `STREAM: Failed to start: ${text}`)
      return EXIT_FAILURE
    } finally {
      this.#log.close()
    }
  }

  async #serve(notes: readonly string[], reread: () => ServerOptions | null): Promise<number> {
    const { dir, log, host } = this.#options
    this.#greet(notes)
    if (dir !== null && ORIGINAL_FILES.some((name) => existsSync(join(dir, name)))) {
      throw new ConfigError([
        `${dir} is a store of NATS Streaming itself, which leveret does not read: docs/nats-streaming.md tells how to move`,
      ])
    }
    const config = serverConfig(this.#options, this.#terminal.env)
    keepHeapRoom(this.#terminal.clock)
    const app = makeApp(this.#options, config, { journal: this.#log.journal, serverId: this.#natsId })
    await app.start()
    const watch = new ProblemWatch(
      () => app.broker.health().problems,
      (line) => this.#log.line('ERR', line),
    )
    watch.start(this.#terminal.clock)
    // Whoever reads that it is ready may signal at once.
    const release = this.#terminal.onSignals({
      SIGUSR1: () => this.#log.reopen(),
      SIGHUP: () => this.#reload(reread),
    })
    const port = app.listeners.find(({ name }) => name === DIALECT)?.port ?? 0
    const ports = this.#writeFiles(host, port)
    this.#ready(host, port, app.listeners)
    try {
      await untilInterrupted(this.#terminal.interrupted)
      this.#log.line('INF', 'STREAM: Shutting down.')
      this.#log.line('INF', 'Initiating Shutdown...')
      await app.stop({ deadlineMs: config.drainMs })
      this.#log.line('INF', 'Server Exiting..')
    } finally {
      watch.stop()
      release()
      for (const file of ports) rmSync(file, { force: true })
    }
    if (log.file === null) await drained(this.#terminal)
    return this.#terminal.interrupted.reason === 'SIGTERM' ? EXIT_TERMINATED : EXIT_OK
  }

  #greet(notes: readonly string[]): void {
    const { clusterId, host } = this.#options
    const { info, warn } = this.#log.journal
    info(`Starting nats-streaming-server[${clusterId}] version ${STREAMING_VERSION} (leveret ${this.#version})`)
    info(`ServerID: ${systemRandom.id(SERVER_ID_BYTES).toUpperCase()}`)
    info(`Node version: ${process.version}`)
    info('Git commit: [not set]')
    for (const note of notes) warn(note)
    if (host !== '127.0.0.1' && host !== 'localhost' && host !== '::1') {
      warn(`Whoever reaches ${host} may read and write everything: nobody is asked who they are. See -a`)
    }
    this.#log.line('INF', 'Starting nats-server')
    this.#log.line('INF', `  Version:  ${NATS_VERSION}`)
    this.#log.line('INF', '  Git:      [not set]')
    this.#log.line('INF', `  Name:     ${SERVER_NAME}`)
    this.#log.line('INF', `  ID:       ${this.#natsId}`)
  }

  #ready(host: string, port: number, listeners: readonly ListenerInfo[]): void {
    const { store, dir, limits } = this.#options
    const { info } = this.#log.journal
    this.#log.line('INF', `Listening for client connections on ${host}:${port}`)
    this.#log.line('INF', 'Server is ready')
    for (const { name, port: other } of listeners) {
      if (name !== DIALECT) info(`Listening for ${name} clients on ${host}:${other}`)
    }
    info(`Message store is ${store}`)
    if (dir !== null) info(`Store location: ${dir}`)
    for (const line of limitLines(limits)) info(line)
    info('Streaming Server is ready')
  }

  /** What is there only while the server is. */
  #writeFiles(host: string, port: number): readonly string[] {
    const { pidFile, portsFolder } = this.#options
    const files: string[] = []
    const write = (path: string, text: string): void => {
      writeFileSync(path, text)
      files.push(path)
    }
    if (pidFile !== null) write(pidFile, String(process.pid))
    if (portsFolder !== null) {
      const name = `${basename(process.argv[1] ?? 'nats-streaming-server')}_${process.pid}.ports`
      write(join(portsFolder, name), JSON.stringify({ nats: [`nats://${host}:${port}`] }))
    }
    return files
  }

  #reload(reread: () => ServerOptions | null): void {
    try {
      const options = reread()
      if (options !== null) this.#log.setLevels(options.log)
      this.#log.line('INF', 'Reloaded server configuration: what is logged; all else needs a restart')
    } catch (error) {
      this.#log.line(
        'ERR',
        `Failed to reload server configuration: ${error instanceof Error ? error.message : String(error)}`,
      )
    }
  }
}

/** Opens nothing. Throws ConfigError. */
function makeApp(options: ServerOptions, config: Config, own: { journal?: Journal; serverId?: string } = {}): App {
  const { discoverPrefix, heartbeat, limits, replacesDurables, isSynced } = options
  const { intervalMs, timeoutMs, failures } = heartbeat
  const streaming = {
    discoverPrefix,
    heartbeats: { intervalMs, timeoutMs, failuresMax: failures },
    limits,
    isDurableReplaced: replacesDurables,
    durability: isSynced ? ('disk' as const) : ('os' as const),
  }
  return new App(config, { streaming: { ...streaming, ...own } })
}

/** A file that another one names is looked for beside it. */
function readConfigFile(path: string, from: string | null): string {
  return readFileSync(from === null || isAbsolute(path) ? path : join(dirname(from), path), 'utf8')
}

/** The last lines are out. */
function drained({ stderr }: Terminal): Promise<void> {
  return new Promise((resolve) => stderr.write('', () => resolve()))
}
