/**
 * `leveret sub`: the records of a topic to standard output, payload by payload and byte for byte, or whole as JSON.
 * Nothing is read faster than the output takes it, and what keeps a position is told that a record is done with when the
 * output has it.
 */
import { isUtf8 } from 'node:buffer'
import type { From, LostRange, ReceivedRecord, Subscription } from '../../../client/index.js'
import { AbortedError, FencedError, LeaseLostError, LeveretError } from '../../common/errors.js'
import { type ClientOptions, withClient } from '../open-client.js'
import { EXIT_OK, LineOutput, say, type Terminal } from '../terminal.js'

export interface SubOptions extends ClientOptions {
  readonly from?: From
  readonly until?: number
  readonly count?: number
  readonly group?: string
  readonly mode?: 'shared' | 'partitioned'
  readonly name?: string
  readonly takeOver?: boolean
}

/** Records in flight: enough to keep the connection busy, few enough to be held here. */
const WINDOW_RECORDS = 8192
/** Of a member: what it holds, others do not get. */
const MEMBER_WINDOW_RECORDS = 100

export async function sub(name: string, options: SubOptions, terminal: Terminal): Promise<number> {
  const output = new LineOutput(terminal.stdout)
  const signal = AbortSignal.any([terminal.interrupted, output.closed])
  try {
    return await withClient(options, terminal, async (client) => {
      const records = client.topic(name).subscribe({
        from: options.from ?? 'earliest',
        ...(options.until === undefined ? {} : { until: options.until }),
        ...keptAs(options),
        window: windowOf(options),
        signal,
        onLost: (lost) => say(terminal, lossNotice(lost)),
      })
      await print(records, options, output, terminal)
      return EXIT_OK
    })
  } catch (error) {
    // Interrupting is how a subscription without an end is ended; a reader that went away is `| head`.
    if (error instanceof AbortedError && signal.aborted) return EXIT_OK
    throw error
  } finally {
    await output.end()
  }
}

/** Whose position the server keeps. */
function keptAs({ group, mode, name, takeOver }: SubOptions) {
  if (name !== undefined) return { name, takeOver: takeOver === true, manualCommit: true }
  return group === undefined ? {} : { group, mode: mode ?? 'shared', manualCommit: true }
}

function windowOf({ count, group }: SubOptions): number {
  const most = group === undefined ? WINDOW_RECORDS : MEMBER_WINDOW_RECORDS
  return Math.min(most, count ?? most)
}

async function print(
  records: Subscription,
  options: SubOptions,
  output: LineOutput,
  terminal: Terminal,
): Promise<void> {
  const toLine = options.json === true ? jsonLine : payloadLine
  let left = options.count ?? Number.POSITIVE_INFINITY
  for await (const batch of records.batches()) {
    const printed = batch.slice(0, left)
    for (const record of printed) output.write(toLine(record))
    await output.ready()
    if (options.group !== undefined || options.name !== undefined) await finish(printed, options, terminal)
    left -= batch.length
    if (left <= 0) return
  }
}

/** Of a shared group each record is acked, of others the last one stands for those before it. */
async function finish(printed: readonly ReceivedRecord[], options: SubOptions, terminal: Terminal): Promise<void> {
  const isShared = options.group !== undefined && options.mode !== 'partitioned'
  const named = isShared ? printed : printed.slice(-1)
  const late = (error: unknown): void => {
    if (!(error instanceof LeveretError)) throw error
    const isOthers = error instanceof LeaseLostError || error instanceof FencedError || error.code === 'LVT_IN_DOUBT'
    if (!isOthers) throw error
    say(terminal, `warning: ${error.message}; it was printed here, and may go to another member too`)
  }
  await Promise.all(named.map((record) => record.ack().catch(late)))
}

function payloadLine(record: ReceivedRecord): Uint8Array {
  return record.payload
}

function jsonLine(record: ReceivedRecord): string {
  const { partition, offset, timestampMs, deliveryCount, key, headers, payload } = record
  return JSON.stringify({
    partition,
    offset,
    timestampMs,
    ...(deliveryCount === 0 ? {} : { deliveryCount }),
    ...(key === null ? {} : bytesField('key', key)),
    ...(headers.length === 0
      ? {}
      : { headers: headers.map(({ name, value }) => ({ name, ...bytesField('value', value) })) }),
    ...bytesField('payload', payload),
  })
}

/** Text as text; bytes that are none under another name, so that the two are never confused. */
function bytesField(name: string, bytes: Uint8Array): Record<string, string> {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return isUtf8(view) ? { [name]: view.toString() } : { [`${name}Base64`]: view.toString('base64') }
}

function lossNotice({ partition, from, to, cause }: LostRange): string {
  if (cause === 'reset')
    return `warning: partition ${partition} began again; offset ${from} was next, reading on from its start`
  const which = to - from === 1 ? `offset ${from}` : `offsets ${from} to ${to - 1}`
  return `warning: ${which} of partition ${partition} will not come (${cause})`
}
