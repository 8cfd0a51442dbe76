/**
 * Messages that are read once more, to be sent again: in the order of the log, neighbours together, as many at a time as the
 * caller asks for.
 */
import type { Broker } from '../../../broker/broker.js'
import type { PartitionReader, ReaderListener } from '../../../broker/partition-reader.js'
import type { Clock } from '../../../common/clock.js'
import { asLeveretError, type LeveretError } from '../../../common/errors.js'
import { skipRecords } from '../../../model/run.js'

/** Sequences further apart than this are read one by one. */
const GAP_MAX = 256
const READ_BYTES = 256 * 1024

export interface Wanted {
  readonly sequence: number
}

export interface LookupListener<Message extends Wanted> {
  /** Its record begins at `position`. */
  found(message: Message, body: Buffer, position: number, timestampMs: number): void
  /** It is not kept any more, or damaged. */
  missing(message: Message, isDamaged: boolean): void
  /** Nobody can say whether it is there. */
  failed(message: Message, error: LeveretError): void
}

/** Says exactly one thing of each message. `channel` must exist. */
export async function lookUp<Message extends Wanted>(
  broker: Broker,
  clock: Clock,
  channel: string,
  messages: readonly Message[],
  listener: LookupListener<Message>,
): Promise<void> {
  const sorted = [...messages].sort((a, b) => a.sequence - b.sequence)
  for (let start = 0; start < sorted.length; ) {
    let end = start + 1
    while (end < sorted.length && sequenceOf(sorted, end) - sequenceOf(sorted, end - 1) <= GAP_MAX) end++
    await readStretch(broker, clock, channel, sorted.slice(start, end), listener)
    start = end
  }
}

function sequenceOf(messages: readonly Wanted[], index: number): number {
  return (messages[index] as Wanted).sequence
}

async function readStretch<Message extends Wanted>(
  broker: Broker,
  clock: Clock,
  channel: string,
  stretch: readonly Message[],
  listener: LookupListener<Message>,
): Promise<void> {
  const waiter = new Waiter()
  let reader: PartitionReader | undefined
  let next = 0
  try {
    // A sequence is the offset behind its record.
    const start = { kind: 'offset', offset: sequenceOf(stretch, 0) - 1 } as const
    reader = (await broker.subscribe(channel, start, sequenceOf(stretch, stretch.length - 1), waiter))[0]
    while (reader !== undefined && next < stretch.length) {
      const result = reader.take(Number.MAX_SAFE_INTEGER, READ_BYTES, clock.monotonic())
      if (result === 'failed') throw asLeveretError(reader.failure)
      if (result === 'ended') break
      if (result === 'waiting') await waiter.next()
      else if (result === 'records') next = take(reader, stretch, next, listener)
      else next = skip(reader, stretch, next, listener)
    }
    for (; next < stretch.length; next++) listener.missing(stretch[next] as Message, false)
  } catch (error) {
    for (; next < stretch.length; next++) listener.failed(stretch[next] as Message, asLeveretError(error))
  } finally {
    reader?.close()
  }
}

/** Returns the place of the first message behind what the reader took. */
function take<Message extends Wanted>(
  reader: PartitionReader,
  stretch: readonly Message[],
  from: number,
  listener: LookupListener<Message>,
): number {
  const { body, bodyStart, baseOffset, count, timestampMs } = reader
  let next = from
  let at = bodyStart
  let offset: number = baseOffset
  for (let message = stretch[next]; message !== undefined; message = stretch[next]) {
    const wanted = message.sequence - 1
    if (wanted >= baseOffset + count) break
    next++
    if (wanted < offset) listener.missing(message, false)
    else {
      at = skipRecords(body, at, wanted - offset)
      offset = wanted
      listener.found(message, body, at, timestampMs)
    }
  }
  return next
}

/** Everything before the reader is gone. */
function skip<Message extends Wanted>(
  reader: PartitionReader,
  stretch: readonly Message[],
  from: number,
  listener: LookupListener<Message>,
): number {
  let next = from
  for (let message = stretch[next]; message !== undefined; message = stretch[next]) {
    if (message.sequence - 1 >= reader.next) break
    listener.missing(message, reader.loss?.cause === 'corrupt')
    next++
  }
  return next
}

class Waiter implements ReaderListener {
  #wake: () => void = () => undefined

  readable(): void {
    this.#wake()
  }

  /** Resolves at the next call of `readable`. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  grown(reader: PartitionReader): void {
    reader.close()
  }
}
