/**
 * A writer of the files that Floki's own server leaves, from the description of their bytes; it shares nothing with the reader
 * but the hash library, which a vector of that library's own holds to its algorithm.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import xxhash from 'xxhash-wasm'

const { h64 } = await (async () => {
  const { h64Raw } = await xxhash()
  return { h64: h64Raw }
})()

export interface WrittenMessage {
  readonly id: number
  readonly seconds: number
  readonly body: Buffer
}

export function messageBytes({ id, seconds, body }: WrittenMessage): Buffer {
  const bytes = Buffer.alloc(20 + body.length)
  bytes.writeBigUInt64LE(BigInt(id), 4)
  bytes.writeUInt32LE(seconds, 12)
  bytes.writeUInt32LE(body.length, 16)
  body.copy(bytes, 20)
  bytes.writeUInt32LE(Number(BigInt.asUintN(32, h64(bytes.subarray(4), 0n))), 0)
  return bytes
}

/** With so many zeros behind the last message. */
export function segmentBytes(messages: readonly WrittenMessage[], spareBytes = 0): Buffer {
  const magic = Buffer.from([0x11, 0x13, 0x03, 0xf1])
  return Buffer.concat([magic, ...messages.map(messageBytes), Buffer.alloc(spareBytes)])
}

/** Where the message at `index` begins in its file. */
export function positionOf(messages: readonly WrittenMessage[], index: number): number {
  return messages.slice(0, index).reduce((position, { body }) => position + 20 + body.length, 4)
}

export function writeSegment(folder: string, queue: string, firstId: number, bytes: Buffer): void {
  mkdirSync(join(folder, queue), { recursive: true })
  writeFileSync(join(folder, queue, `${String(firstId).padStart(15, '0')}.data`), bytes)
}

export function writeCheckpoints(
  folder: string,
  queue: string,
  { head, channels, state = 'Ready' }: { head: number; channels: Readonly<Record<string, number>>; state?: string },
): void {
  mkdirSync(join(folder, queue), { recursive: true })
  const segments = [{ tail: 1, head, sync_offset: 4, closed: false }]
  const places = Object.entries(channels).map(([name, tail]) => [name, { tail, last_touched: 1_500_000_000 }])
  const queueDocument = { state, channels: Object.fromEntries(places) }
  writeFileSync(join(folder, queue, 'backend.checkpoint'), JSON.stringify({ segments }, null, 2))
  writeFileSync(join(folder, queue, 'queue.checkpoint'), JSON.stringify(queueDocument, null, 2))
}
