/**
 * `leveret topics`: names, creation, and what a topic is and holds.
 */
import type { TopicDescription } from '../../../client/index.js'
import { InvalidArgumentError } from '../../common/errors.js'
import { formatDuration, formatSize } from '../../config/units.js'
import { KEEP_FOREVER, type Retention, type TopicSettings } from '../../model/topic.js'
import { type ClientOptions, withClient } from '../open-client.js'
import { shortSize } from '../sizes.js'
import { EXIT_OK, LineOutput, type Terminal } from '../terminal.js'

export interface CreateOptions extends ClientOptions {
  readonly retain?: Retention
  readonly retainBytes?: number
  readonly retainRecords?: number
  readonly compact?: number
  readonly keepLatest?: boolean
  readonly partitions?: number
}

/** One attempt is enough where somebody waits for a prompt. */
const ONCE = { reconnect: false } as const

export function listTopics(options: ClientOptions, terminal: Terminal): Promise<number> {
  const work = async (output: LineOutput, names: readonly string[]): Promise<void> => {
    for (const name of names) if (!output.write(name)) await output.ready()
  }
  return withClient(
    options,
    terminal,
    async (client) => {
      const output = new LineOutput(terminal.stdout)
      const names = await client.topics({ signal: terminal.interrupted })
      if (options.json === true) output.write(JSON.stringify(names))
      else await work(output, names)
      await output.end()
      return EXIT_OK
    },
    ONCE,
  )
}

export function createTopic(name: string, options: CreateOptions, terminal: Terminal): Promise<number> {
  const settings = settingsOf(options)
  return withClient(
    options,
    terminal,
    async (client) => {
      await client.createTopic(name, settings, { signal: terminal.interrupted })
      await print(await client.describe(name, { signal: terminal.interrupted }), options, terminal)
      return EXIT_OK
    },
    ONCE,
  )
}

export function describeTopic(name: string, options: ClientOptions, terminal: Terminal): Promise<number> {
  return withClient(
    options,
    terminal,
    async (client) => {
      await print(await client.describe(name, { signal: terminal.interrupted }), options, terminal)
      return EXIT_OK
    },
    ONCE,
  )
}

function settingsOf({
  retain,
  retainBytes,
  retainRecords,
  compact,
  keepLatest,
  partitions,
}: CreateOptions): Partial<TopicSettings> {
  const limits = { bytes: retainBytes ?? null, records: retainRecords ?? null }
  const isLimited = limits.bytes !== null || limits.records !== null
  const keepsLatest = keepLatest === true
  if (retain === 'none' && isLimited) {
    throw new InvalidArgumentError('--retain none keeps nothing, so there is nothing for the other limits to limit')
  }
  const retention =
    retain === undefined ? { ...KEEP_FOREVER, ...limits } : retain === 'none' ? retain : { ...retain, ...limits }
  return {
    // Of what is not kept there is no latest.
    ...(retain !== undefined || isLimited || keepsLatest ? { retention } : {}),
    ...(keepsLatest ? { keepLatestPerKey: true } : {}),
    ...(compact === undefined ? {} : { compactionWindowMs: compact }),
    ...(partitions === undefined ? {} : { partitions }),
  }
}

async function print(topic: TopicDescription, options: ClientOptions, terminal: Terminal): Promise<void> {
  const output = new LineOutput(terminal.stdout)
  if (options.json === true) output.write(JSON.stringify(topic))
  else for (const line of linesOf(topic)) output.write(line)
  await output.end()
}

function linesOf({ name, settings, partitions, subscribers }: TopicDescription): string[] {
  const lines = [`topic        ${name}`]
  if (settings !== null) {
    lines.push(`retention    ${retentionText(settings.retention)}`)
    lines.push(
      `compaction   ${settings.compactionWindowMs === 0 ? 'off' : formatDuration(settings.compactionWindowMs)}`,
    )
    if (settings.keepLatestPerKey) lines.push('keep latest  of each key the newest record; the others go in time')
    lines.push(`durability   ${settings.durability}`)
  }
  lines.push(`subscribers  ${subscribers}`)
  for (const { partition, logStart, end, bytes } of partitions) {
    lines.push(`partition ${partition}  offsets ${logStart} to ${end}, ${shortSize(bytes)}`)
  }
  return lines
}

function retentionText(retention: Retention): string {
  if (retention === 'none') return 'none: only the subscribers of the moment see a record'
  const { ageMs, bytes, records } = retention
  const limits = [
    ageMs === null ? null : formatDuration(ageMs),
    bytes === null ? null : formatSize(bytes),
    records === null ? null : `${records} records`,
  ].filter((limit) => limit !== null)
  return limits.length === 0 ? 'forever' : `at most ${limits.join(', ')}`
}
