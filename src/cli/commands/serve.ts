/**
 * `leveret serve`: settings from every source, the app started, its listeners told, and drained on a signal.
 */
import { App } from '../../app.js'
import { loadConfig } from '../../config/load.js'
import { EXIT_OK, LineOutput, type Terminal } from '../terminal.js'

/** `flags` are under the keys of Config. Throws ConfigError, and what starting the app throws. */
export async function serve(flags: Readonly<Record<string, unknown>>, terminal: Terminal): Promise<number> {
  const config = loadConfig({ env: terminal.env, flags })
  const app = new App(config)
  await app.start()
  const output = new LineOutput(terminal.stdout)
  for (const { name, host, port } of app.listeners) output.write(`listening ${name} ${shown(host)}:${port}`)
  output.write('ready')
  await output.end()
  await abortOf(terminal.interrupted)
  await app.stop({ deadlineMs: config.drainMs })
  return EXIT_OK
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
