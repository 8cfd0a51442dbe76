/**
 * `leveret floki`: what was started as Floki's own server goes on with the same floki.toml. Translates it, and `serve` does
 * the rest.
 */
import { readFileSync } from 'node:fs'
import { ConfigError } from '../../common/errors.js'
import { readFlokiFile } from '../../gateways/resp/floki/floki-file.js'
import { queuesIn } from '../../gateways/resp/floki/floki-folder.js'
import { isSystemError, systemErrorText } from '../system-errors.js'
import { EXIT_FAILURE, say, type Terminal } from '../terminal.js'
import { serve } from './serve.js'

/** Where Floki looks, in the working directory. */
const USUAL_FILE = 'floki.toml'
const QUEUES_SHOWN = 3

export interface FlokiOptions {
  readonly insecure?: true
}

/** Throws ConfigError, and what `serve` throws. */
export async function floki(file: string | undefined, options: FlokiOptions, terminal: Terminal): Promise<number> {
  const name = file ?? USUAL_FILE
  const text = textOf(name)
  if (text === null) {
    if (file !== undefined) throw new ConfigError([`${name}: there is no such file`])
    say(terminal, `there is no ${name} here: every option is as Floki shipped it`)
  }
  const { settings, remarks, mistakes } = readFlokiFile(text ?? '', name)
  for (const remark of remarks) say(terminal, remark)
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  const data = String(settings['data'])
  // To start without the messages that are expected would look like their loss.
  const queues = queuesIn(data)
  if (queues.length > 0) {
    const more = queues.length > QUEUES_SHOWN ? ', ...' : ''
    say(
      terminal,
      `${data} holds queues of Floki itself (${queues.slice(0, QUEUES_SHOWN).join(', ')}${more}): run ` +
        `leveret floki-import ${data} --data <another folder>, and make that folder the data_directory of ${name}`,
    )
    return EXIT_FAILURE
  }
  const flags = { ...settings, meilies: 'off' }
  const names = { host: `${name}: bind_address`, floki: `${name}: bind_address`, data: `${name}: data_directory` }
  const given = options.insecure === true ? { ...flags, insecure: true } : flags
  return await serve(given, terminal, names, { dialectsOnly: true })
}

/** Null if there is no such file. Throws ConfigError. */
export function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (!isSystemError(error)) throw error
    if (error.code === 'ENOENT') return null
    throw new ConfigError([`${file}: cannot be read: ${systemErrorText(error)}`], { cause: error })
  }
}
