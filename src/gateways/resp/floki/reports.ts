/**
 * What INFO and CONFIG GET tell, as the compact JSON documents that Floki has for them.
 */
import { FlokiLimit } from './floki-fault.js'
import type { QueueConfig } from './queue-config.js'
import type { Queues } from './queues.js'

/** What the dialect knows of the server. */
export interface ServerFacts {
  readonly dataDirectory: string
  readonly connectionsMax: number
  readonly nowSeconds: () => number
  readonly connections: () => number
  readonly address: () => string
  /** Size of a report of queues. */
  readonly reportBytesMax: number
}

const INTERVAL_MS = 1_000

/** `server`, `queues`, or `queues.` and how their names begin; `*` is all. Null for what is neither. */
export type Section = { readonly kind: 'server' } | { readonly kind: 'queues'; readonly prefix: string }

export function sectionOf(text: string): Section | null {
  if (text.toLowerCase() === 'server') return { kind: 'server' }
  const [head = '', ...rest] = text.split('.')
  if (head.toLowerCase() !== 'queues') return null
  const prefix = rest.join('.')
  return { kind: 'queues', prefix: prefix === '*' ? '' : prefix }
}

export async function infoReport(queues: Queues, section: Section, server: ServerFacts): Promise<string> {
  if (section.kind === 'server') {
    return JSON.stringify({
      client_count: server.connections(),
      blocked_client_count: queues.waiting,
      queue_count: queues.names().length,
      thread_count: 1,
      clock: server.nowSeconds(),
    })
  }
  const report = new Report(server.reportBytesMax)
  for (const name of namesOf(queues, section.prefix)) {
    // It may be deleted meanwhile.
    const state = await queueState(queues, name).catch(() => null)
    if (state !== null) report.add(name, state)
  }
  return report.text
}

export function configReport(queues: Queues, section: Section, server: ServerFacts): string {
  const { dataDirectory } = server
  if (section.kind === 'server') {
    return JSON.stringify({
      data_directory: dataDirectory,
      bind_address: server.address(),
      max_connections: server.connectionsMax,
      maintenance_interval: INTERVAL_MS,
      monitor_interval: INTERVAL_MS,
      default_queue_config: queueConfig('', dataDirectory, queues.defaults),
    })
  }
  const report = new Report(server.reportBytesMax)
  for (const name of namesOf(queues, section.prefix)) {
    const config = queues.config(name)
    if (config !== null) report.add(name, queueConfig(name, dataDirectory, config))
  }
  return report.text
}

/** A document of queues, no larger than it may be. */
class Report {
  readonly #bytesMax: number
  readonly #entries: string[] = []
  #bytes = 2

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get text(): string {
    return `{${this.#entries.join(',')}}`
  }

  /** Throws FlokiLimit. Names and values are ASCII. */
  add(name: string, value: unknown): void {
    const entry = `${JSON.stringify(name)}:${JSON.stringify(value)}`
    this.#bytes += entry.length + 1
    if (this.#bytes > this.#bytesMax) {
      throw new FlokiLimit(`ERR the answer has more than ${this.#bytesMax} bytes, ask for fewer with queues.<prefix>`)
    }
    this.#entries.push(entry)
  }
}

function namesOf(queues: Queues, prefix: string): string[] {
  return queues.names().filter((name) => name.startsWith(prefix))
}

async function queueState(queues: Queues, name: string): Promise<unknown> {
  const { logStart, end } = await queues.partition(name)
  const segments = (await queues.segments(name)).filter(({ bytes }) => bytes > 0)
  const channels: Record<string, unknown> = {}
  for (const { name: channel, partitions, inFlight } of await queues.channelStates(name)) {
    const known = queues.channelInUse(name, channel)
    const position = Math.max(partitions[0]?.next ?? 0, known?.skipBelow ?? 0)
    channels[channel] = {
      tail: position + 1,
      last_touched: known?.touched ?? 0,
      in_flight_count: inFlight,
      skipped_count: partitions[0]?.skipped ?? 0,
    }
  }
  const isEmpty = logStart === end
  return {
    head: end + 1,
    tail: logStart + 1,
    channels,
    segments_count: isEmpty ? 0 : segments.length,
    disk_usage: isEmpty ? 0 : segments.reduce((sum, { bytes }) => sum + bytes, 0),
    sizes: 'stored bytes',
  }
}

function queueConfig(name: string, dataDirectory: string, config: QueueConfig): unknown {
  const { segment_size, message_timeout, retention_period, hard_retention_period } = config
  const { retention_size, hard_retention_size, segment_period, durability } = config
  return {
    name,
    data_directory: dataDirectory,
    segment_size,
    message_timeout,
    retention_period,
    hard_retention_period,
    retention_size,
    hard_retention_size,
    segment_period,
    durability,
  }
}
