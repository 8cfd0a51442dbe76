/**
 * `leveret serve`: settings from every source, the app started, its listeners and its troubles told, and drained on a signal.
 */
import { App } from '../../app.js'
import { systemClock } from '../../common/clock.js'
import { loadConfig } from '../../config/load.js'
import type { Config, ConfigKey } from '../../config/schema.js'
import { configUnder } from '../config-names.js'
import { keepHeapRoom } from '../heap-room.js'
import { untilInterrupted } from '../interruption.js'
import { ProblemWatch } from '../problem-watch.js'
import { isSystemError, systemErrorText } from '../system-errors.js'
import { EXIT_FAILURE, EXIT_OK, LineOutput, say, type Terminal } from '../terminal.js'

/**
 * `flags` are under the keys of Config; `names` is what they were called where they come from. `usual` holds where nobody says
 * otherwise. Throws ConfigError, and what starting the app throws.
 */
export async function serve(
  flags: Readonly<Record<string, unknown>>,
  terminal: Terminal,
  names: Readonly<Partial<Record<ConfigKey, string>>> = {},
  usual: Readonly<Partial<Config>> = {},
): Promise<number> {
  const config = configUnder(names, () => loadConfig({ env: terminal.env, flags, usual }))
  keepHeapRoom(systemClock)
  const app = new App(config)
  try {
    await app.start()
  } catch (error) {
    // Listeners fail with errors of leveret's own, so what the system answered is about files.
    if (!isSystemError(error)) throw error
    say(terminal, `the data directory ${config.data} cannot be used: ${systemErrorText(error)}`)
    return EXIT_FAILURE
  }
  const watch = new ProblemWatch(
    () => app.broker.health().problems,
    (line) => terminal.stderr.write(`${line}\n`),
  )
  watch.start(terminal.clock)
  const output = new LineOutput(terminal.stdout)
  for (const { name, host, port } of app.listeners) output.write(`listening ${name} ${shown(host)}:${port}`)
  output.write('ready')
  await output.end()
  await untilInterrupted(terminal.interrupted)
  try {
    await app.stop({ deadlineMs: config.drainMs })
  } finally {
    watch.stop()
  }
  return EXIT_OK
}

function shown(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}
