/**
 * `leveret serve`: settings from every source, the app started, its listeners told, and drained on a signal.
 */
import { App } from '../../app.js'
import { systemClock } from '../../common/clock.js'
import { brief } from '../../common/log.js'
import { loadConfig } from '../../config/load.js'
import { keepHeapRoom } from '../heap-room.js'
import { EXIT_OK, LineOutput, type Terminal } from '../terminal.js'

/** Trouble found in the data when starting, told line by line up to here; the rest is counted. */
const PROBLEMS_TOLD = 20

/** `flags` are under the keys of Config. Throws ConfigError, and what starting the app throws. */
export async function serve(flags: Readonly<Record<string, unknown>>, terminal: Terminal): Promise<number> {
  const config = loadConfig({ env: terminal.env, flags })
  keepHeapRoom(systemClock)
  const app = new App(config)
  await app.start()
  tellProblems(app, terminal)
  const output = new LineOutput(terminal.stdout)
  for (const { name, host, port } of app.listeners) output.write(`listening ${name} ${shown(host)}:${port}`)
  output.write('ready')
  await output.end()
  await abortOf(terminal.interrupted)
  await app.stop({ deadlineMs: config.drainMs })
  return EXIT_OK
}

/** What was torn or damaged is said when it is found, not when somebody misses it. */
function tellProblems(app: App, { stderr }: Terminal): void {
  const { problems } = app.broker.health()
  for (const { kind, topic, partition, message } of problems.slice(0, PROBLEMS_TOLD)) {
    const where = topic === '' ? 'the data directory' : `topic ${brief(topic)}, partition ${partition}`
    stderr.write(`${kind}: ${where}: ${message}\n`)
  }
  if (problems.length > PROBLEMS_TOLD) stderr.write(`and ${problems.length - PROBLEMS_TOLD} more of the like\n`)
}

function shown(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
