/**
 * `leveret floki-import`: queues of Floki's own server into a data directory of leveret. Puts engine, broker and the importer
 * of the dialect together; the clock shows when each message arrived, so that it keeps its time.
 */
import { existsSync } from 'node:fs'
import { resolve, sep } from 'node:path'
import { brokerOf } from '../../app.js'
import { type Clock, systemClock } from '../../common/clock.js'
import { AbortedError, ConfigError, InvalidArgumentError } from '../../common/errors.js'
import { systemRandom } from '../../common/random.js'
import { loadConfig } from '../../config/load.js'
import type { Config } from '../../config/schema.js'
import { isQueueName } from '../../gateways/resp/floki/floki-arguments.js'
import { readFlokiFile } from '../../gateways/resp/floki/floki-file.js'
import { queuesIn } from '../../gateways/resp/floki/floki-folder.js'
import { type ImportedQueue, importQueue } from '../../gateways/resp/floki/floki-import.js'
import { configOf, topicSettingsOf } from '../../gateways/resp/floki/queue-config.js'
import { Queues } from '../../gateways/resp/floki/queues.js'
import { MetricsRegistry } from '../../metrics/registry.js'
import { toOffset } from '../../model/offset.js'
import { KEEP_FOREVER } from '../../model/topic.js'
import { EXIT_FAILURE, EXIT_OK, LineOutput, say, type Terminal } from '../terminal.js'
import { textOf } from './floki.js'

export interface FlokiImportOptions {
  readonly data: string
  readonly options?: string
}

const HOW = { durability: 'os', expectedOffset: null, producer: '', sequence: null } as const
const STOP_MS = 60_000

/** Throws ConfigError, InvalidArgumentError, and what opening the data directory throws. */
export async function flokiImport(source: string, options: FlokiImportOptions, terminal: Terminal): Promise<number> {
  const { data } = options
  if (`${resolve(data)}${sep}`.startsWith(`${resolve(source)}${sep}`)) {
    throw new InvalidArgumentError(`--data ${data} is within ${source}, where nothing is to be changed`)
  }
  if (!existsSync(source)) throw new InvalidArgumentError(`${source}: there is no such folder`)
  const names = queuesIn(source)
  if (names.length === 0) {
    say(terminal, `${source} holds no queue of Floki`)
    return EXIT_FAILURE
  }
  const config = loadConfig({ env: terminal.env, flags: { ...queueSettings(options.options, terminal), data } })
  await withBroker(config, new ImportClock(), ({ broker }) => {
    for (const name of names.filter((queue) => broker.topicSettings(queue) !== null)) {
      throw new InvalidArgumentError(`${data} has a topic ${name} already`)
    }
    return Promise.resolve()
  })
  const output = new LineOutput(terminal.stdout)
  try {
    for (const name of names) {
      if (isQueueName(name)) output.write(await bring(source, name, config, terminal))
      else say(terminal, `${name} is left out: it cannot be the name of a queue`)
    }
    return EXIT_OK
  } finally {
    await output.end()
  }
}

/** All of a queue, or nothing; what is to be told of it. Its own clock, as the next one may be older. */
async function bring(source: string, name: string, config: Config, terminal: Terminal): Promise<string> {
  const clock = new ImportClock()
  return await withBroker(config, clock, async ({ engine, broker }) => {
    const { flokiFetchBytesMax: fetchBytesMax, deliveryBytesMax } = config
    const queueDefaults = configOf(config)
    const queues = new Queues({ broker, clock, random: systemRandom, fetchBytesMax, deliveryBytesMax, queueDefaults })
    await queues.open()
    const settings = topicSettingsOf(queueDefaults, null)
    // Nothing goes before all of it is there.
    await broker.createTopic(name, { ...settings, retention: KEEP_FOREVER })
    let isDone = false
    try {
      const imported = await importQueue(source, name, {
        skipTo: (id) => engine.skipTo(name, 0, toOffset(id - 1)),
        append: async (body, count, seconds) => {
          if (terminal.interrupted.aborted) throw new AbortedError('interrupted', { topic: name })
          clock.reach(seconds * 1_000)
          await engine.publish(name, 0, { body, count }, HOW)
        },
      })
      if (imported === null) return `${name}: left out, it was being deleted`
      for (const [channel, id] of imported.channels) {
        await queues.create(name, channel, true)
        await queues.seekTo(name, channel, id)
      }
      await broker.changeTopic(name, settings)
      isDone = true
      for (const remark of imported.remarks) say(terminal, remark)
      return summaryOf(name, imported)
    } finally {
      if (!isDone) await broker.deleteTopic(name)
    }
  })
}

async function withBroker<T>(
  config: Config,
  clock: Clock,
  work: (parts: ReturnType<typeof brokerOf>) => Promise<T>,
): Promise<T> {
  const parts = brokerOf(config, { clock, random: systemRandom, metrics: new MetricsRegistry() })
  await parts.broker.start()
  try {
    return await work(parts)
  } finally {
    await parts.broker.stop({ deadlineMs: STOP_MS })
  }
}

function summaryOf(name: string, { messages, bytes, head, missing, channels }: ImportedQueue): string {
  const gone = missing === 0 ? '' : `, ${missing} ids are missing`
  const places = [...channels].map(([channel, id]) => `${channel} at ${id}`).join(', ')
  return `${name}: ${messages} messages, ${bytes} bytes, next id ${head}${gone}; channels: ${places || 'none'}`
}

/** Settings for new queues: of the file, or else nothing is ever dropped. Throws ConfigError. */
function queueSettings(file: string | undefined, terminal: Terminal): Readonly<Record<string, unknown>> {
  if (file === undefined) return { flokiHardRetentionMs: 0, flokiHardRetentionBytes: 0 }
  const text = textOf(file)
  if (text === null) throw new ConfigError([`${file}: there is no such file`])
  const { settings, remarks, mistakes } = readFlokiFile(text, file)
  for (const remark of remarks) say(terminal, remark)
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  return Object.fromEntries(Object.entries(settings).filter(([key]) => key !== 'host' && key !== 'floki'))
}

/** Stands where the newest message arrived, so that nothing but messages lets time pass. */
class ImportClock implements Clock {
  #nowMs = 0

  reach(timeMs: number): void {
    this.#nowMs = Math.max(this.#nowMs, timeMs)
  }

  now(): number {
    return this.#nowMs
  }

  /** The same, or the broker would take the one for fast against the other. */
  monotonic(): number {
    return this.#nowMs
  }

  after(...args: Parameters<Clock['after']>): ReturnType<Clock['after']> {
    return systemClock.after(...args)
  }

  every(...args: Parameters<Clock['every']>): ReturnType<Clock['every']> {
    return systemClock.every(...args)
  }
}
