/**
 * docs/storage-format.md is enough: a reader that was written from it alone, in another language, reads from a killed
 * server's directory what leveret itself reads there. The part that needs ciphers is read here, by the same page.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createDecipheriv, createHmac } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Client, connect, type Receipt, type Topic } from '../../client/index.js'
import { startServer } from '../helpers/leveret-process.js'
import { findPeer } from '../helpers/peer.js'

const READER = fileURLToPath(new URL('storage_reader.py', import.meta.url))
const PYTHON = findPeer('python3')
const SKIP = PYTHON.found ? false : PYTHON.skip
const TOPICS = ['orders', 'Überweisungen/日本語 %41@7', `long ${'x'.repeat(200)}`]
const PARTITIONS = 2
const RECORDS = 2_000
/** Published at once, and far less than a segment. */
const WAVE = 100
const HEADERS = [
  ['a', 'b'],
  ['a', ''],
  ['ü', Buffer.from([0])],
] as const

interface Read {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestampMs: number
  readonly key: string | null
  readonly payload: string
  readonly headers: readonly (readonly [string, string])[]
}

function directory(t: TestContext): string {
  const data = mkdtempSync(join(tmpdir(), 'leveret-format-'))
  t.after(() => rmSync(data, { recursive: true, force: true }))
  return data
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}

async function publish(client: Client): Promise<void> {
  for (const name of TOPICS) {
    await client.createTopic(name, { retention: { ageMs: null, bytes: null, records: null }, partitions: PARTITIONS })
    const topic = client.topic(name)
    for (let from = 0; from < RECORDS; from += WAVE) {
      await Promise.all(Array.from({ length: WAVE }, (_, index) => publishOne(topic, from + index)))
    }
  }
}

/** With and without key, payload and headers, each empty at times. */
function publishOne(topic: Topic<Uint8Array>, index: number): Promise<Receipt> {
  const key = [undefined, '', `clé ${index}`][index % 3]
  const headers = index % 5 === 0 ? HEADERS : undefined
  const options = { ...(key === undefined ? {} : { key }), ...(headers === undefined ? {} : { headers }) }
  return topic.publish(Buffer.alloc(index % 400, index), options)
}

async function readAll(client: Client): Promise<Read[]> {
  const all: Read[] = []
  for (const name of TOPICS) {
    let left = RECORDS
    for await (const record of client.topic(name).subscribe({ from: 'earliest' })) {
      const { topic, partition, offset, timestampMs, payload } = record
      const key = record.key === null ? null : textOf(record.key)
      const headers = record.headers.map((header) => [header.name, textOf(header.value)] as const)
      all.push({ topic, partition, offset, timestampMs, key, payload: textOf(payload), headers })
      if (--left === 0) break
    }
  }
  return all
}

function inOrder(records: readonly Read[]): string[] {
  const place = ({ topic, partition, offset }: Read) => `${topic}/${partition}/${String(offset).padStart(9, '0')}`
  const texts = records.map(({ topic, partition, offset, timestampMs, key, payload, headers }) => {
    const read = { topic, partition, offset, timestampMs, key, payload, headers }
    return [place(read), JSON.stringify(read)] as const
  })
  return texts.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text)
}

test('a stranger reads after kill -9 what leveret reads', { skip: SKIP }, async (t) => {
  const data = directory(t)
  const flags = ['--data', data, '--segment-bytes', '64KiB']
  const first = await startServer(flags)
  const writer = await connect({ port: first.port })
  await publish(writer)
  first.process.signal('SIGKILL')
  await first.process.ended
  await writer.close()

  const said = execFileSync((PYTHON as { file: string }).file, [READER, data], { maxBuffer: 2 ** 28, encoding: 'utf8' })
  const strange = said
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Read)

  const second = await startServer(flags)
  const reader = await connect({ port: second.port })
  const known = await readAll(reader)
  await reader.close()
  await second.stop()
  assert.deepEqual(inOrder(strange), inOrder(known))
  assert.equal(strange.length, TOPICS.length * RECORDS)
  const logs = readdirSync(data, { recursive: true }).filter((name) => String(name).endsWith('.log'))
  assert.ok(logs.length > 2 * TOPICS.length * PARTITIONS, `several segments in each partition: ${logs.length}`)
})

test('a sealed batch opens by what the page says of it', { skip: SKIP }, async (t) => {
  const data = directory(t)
  const secret = Buffer.alloc(32, 7)
  for (const [number, name] of [
    [1, 'aes-256-gcm'],
    [2, 'chacha20-poly1305'],
  ] as const) {
    const topic = `sealed-${number}`
    // The first key seals, and every key that was used before must be there.
    const keys = [name, 'aes-256-gcm'].map((algorithm) => `${algorithm}:${secret.toString('hex')}`)
    const server = await startServer(['--data', data, '--encryption-keys', [...new Set(keys)].join()])
    await server.succeed(['topics', 'create', topic, '--retain', 'forever'])
    await server.succeed(['pub', topic], 'secret\n')
    await server.stop()

    const batch = readFileSync(join(data, 'topics', `${topic}@${number}`, '0', `${'0'.repeat(20)}.log`))
    assert.ok(!batch.includes('secret'))
    assert.deepEqual([batch.readUInt32LE(40) & 1, batch[48], batch.readUIntBE(49, 3)], [1, number, 0])
    const id = createHmac('sha256', secret).update(`leveret key id ${name}`).digest().subarray(0, 4)
    assert.ok(batch.subarray(52, 56).equals(id))
    // The types of Node know the one algorithm; both are called alike.
    const decipher = createDecipheriv(name as 'aes-256-gcm', secret, batch.subarray(56, 68), { authTagLength: 16 })
    decipher.setAAD(batch.subarray(12, 40))
    decipher.setAuthTag(batch.subarray(68, 84))
    const at = batch.readUInt16LE(6)
    const run = Buffer.concat([decipher.update(batch.subarray(at, at + batch.readUInt32LE(8))), decipher.final()])
    assert.deepEqual([...run], [0x7a, 8, 0x12, 6, ...Buffer.from('secret')])
  }
})
