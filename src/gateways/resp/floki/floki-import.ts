/**
 * Brings a queue from a data directory of Floki's own server: its messages under their ids with their times, and its channels where
 * they stood. Rebuilt from the files themselves, as checkpoints may be behind them. Reads the source, and never writes there.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isName } from './floki-arguments.js'
import { BACKEND_CHECKPOINT, QUEUE_CHECKPOINT, segmentsOf } from './floki-folder.js'
import { type FlokiHash, flokiHash, messagesOf } from './floki-segment.js'
import { messageRecord } from './message-record.js'

/** Where the messages of a queue go, in order. */
export interface ImportTarget {
  /** The next message has this id, and those between are gone. */
  skipTo(id: number): Promise<void>
  /** Records that arrived in the same second. */
  append(body: Buffer, count: number, seconds: number): Promise<void>
}

export interface ImportedQueue {
  readonly messages: number
  readonly bytes: number
  /** The id that the next message will have. */
  readonly head: number
  /** Ids between the first message and the head that no file has. */
  readonly missing: number
  /** Names, and the id that each goes on with. */
  readonly channels: ReadonlyMap<string, number>
  /** What is worth knowing, a line each. */
  readonly remarks: readonly string[]
}

/** What the files beside the messages say. */
interface Checkpoints {
  readonly head: number
  readonly channels: ReadonlyMap<string, number>
  readonly isDeleting: boolean
  readonly remarks: readonly string[]
}

const BATCH_BYTES = 1024 * 1024

/** Null for a queue that was being deleted. Throws what the system and the target say. */
export async function importQueue(folder: string, queue: string, target: ImportTarget): Promise<ImportedQueue | null> {
  const checkpoints = readCheckpoints(join(folder, queue))
  if (checkpoints.isDeleting) return null
  const import_ = new QueueImport(target, await flokiHash())
  for (const segment of segmentsOf(folder, queue)) await import_.segment(segment)
  const { channels, remarks } = checkpoints
  // An id that was given once is not given again, also if nothing is left of its message.
  await import_.finish(Math.max(checkpoints.head, ...channels.values()))
  return { ...import_.result, channels, remarks: [...remarks, ...import_.remarks] }
}

class QueueImport {
  readonly remarks: string[] = []
  readonly #target: ImportTarget
  readonly #hash: FlokiHash
  #next = 1
  #messages = 0
  #bytes = 0
  #missing = 0
  /** Not handed on yet. */
  #records: Buffer[] = []
  #recordBytes = 0
  #seconds = 0

  constructor(target: ImportTarget, hash: FlokiHash) {
    this.#target = target
    this.#hash = hash
  }

  get result(): Pick<ImportedQueue, 'messages' | 'bytes' | 'head' | 'missing'> {
    return { messages: this.#messages, bytes: this.#bytes, head: this.#next, missing: this.#missing }
  }

  async segment({ path, firstId }: { readonly path: string; readonly firstId: number }): Promise<void> {
    const messages = messagesOf(path, firstId, this.#hash)
    let item = messages.next()
    try {
      for (; item.done !== true; item = messages.next()) {
        const { id, seconds, body } = item.value
        // A file that was begun anew behind Floki's back may repeat what the one before it has.
        if (id < this.#next) continue
        if (id > this.#next) await this.#skip(id)
        if (seconds !== this.#seconds || this.#recordBytes >= BATCH_BYTES) await this.#flush()
        this.#take(seconds, body)
      }
    } finally {
      messages.return?.({ position: 0, isDamaged: false, isOdd: false })
    }
    const { position, isDamaged, isOdd } = item.value
    if (isOdd) this.remarks.push(`${path} does not begin as a file of Floki's should; what could be read of it was`)
    if (isDamaged)
      this.remarks.push(`${path}: what stands at byte ${position} is no message; nothing behind it was read`)
  }

  async finish(head: number): Promise<void> {
    if (head > this.#next) await this.#skip(head)
    else await this.#flush()
  }

  #take(seconds: number, body: Buffer): void {
    const record = messageRecord(body)
    this.#records.push(record)
    this.#recordBytes += record.length
    this.#seconds = seconds
    this.#next++
    this.#messages++
    this.#bytes += body.length
  }

  async #skip(id: number): Promise<void> {
    await this.#flush()
    if (this.#messages > 0) this.#missing += id - this.#next
    await this.#target.skipTo(id)
    this.#next = id
  }

  async #flush(): Promise<void> {
    if (this.#records.length === 0) return
    const body = Buffer.concat(this.#records, this.#recordBytes)
    const { length } = this.#records
    this.#records = []
    this.#recordBytes = 0
    await this.#target.append(body, length, this.#seconds)
  }
}

function readCheckpoints(folder: string): Checkpoints {
  const remarks: string[] = []
  const backend = readDocument(join(folder, BACKEND_CHECKPOINT), remarks)
  const queue = readDocument(join(folder, QUEUE_CHECKPOINT), remarks)
  const segments: unknown = backend?.['segments']
  const heads = (Array.isArray(segments) ? segments : []).map((segment: unknown) => idIn(segment, 'head') ?? 1)
  const channels = new Map<string, number>()
  for (const [name, channel] of Object.entries((queue?.['channels'] ?? {}) as object)) {
    const tail = idIn(channel, 'tail')
    if (isName(name) && tail !== null) channels.set(name, tail)
    else remarks.push(`${join(folder, QUEUE_CHECKPOINT)}: channel ${JSON.stringify(name)} was left out`)
  }
  return { head: Math.max(1, ...heads), channels, isDeleting: queue?.['state'] === 'Deleting', remarks }
}

function readDocument(path: string, remarks: string[]): Record<string, unknown> | null {
  try {
    const document: unknown = JSON.parse(readFileSync(path, 'utf8'))
    if (typeof document === 'object' && document !== null) return document as Record<string, unknown>
    remarks.push(`${path} is no checkpoint, and was left out`)
  } catch (error) {
    remarks.push(`${path} was left out: ${error instanceof Error ? error.message : String(error)}`)
  }
  return null
}

function idIn(document: unknown, field: string): number | null {
  const value = (document as Record<string, unknown> | null)?.[field]
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? Math.max(1, value) : null
}
