/**
 * Real input through whole processes: `leveret pub` and `leveret sub` against `leveret serve`, byte for byte.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { FILE_CHANGES_KEYS, FILE_CHANGES_RECORDS, fileChanges, firstOfEachKey } from '../helpers/file-changes.js'
import { type Server, startServer } from '../helpers/leveret-process.js'

const { bytes, lines, isReal } = fileChanges()
const DUPLICATES = FILE_CHANGES_RECORDS - FILE_CHANGES_KEYS

function textOf(chosen: readonly string[]): string {
  return chosen.map((line) => `${line}\n`).join('')
}

describe('file changes, published line by line', () => {
  let server: Server
  before(async () => {
    server = await startServer()
  })
  after(() => server.stop())

  const read = async (topic: string, ...words: string[]): Promise<Buffer> => {
    return (await server.succeed(['sub', topic, ...words])).stdout
  }

  test('the input is what it is said to be', (context) => {
    if (!isReal)
      context.diagnostic('the real file is not beside the checkout; the input is made up, with the same counts')
    assert.equal(lines.length, FILE_CHANGES_RECORDS)
    assert.equal(firstOfEachKey(lines).length, FILE_CHANGES_KEYS)
  })

  test('come back in order and byte for byte, from the beginning and from any offset', async () => {
    await server.succeed(['topics', 'create', 'changes', '--retain', '1h'])
    const published = await server.succeed(['pub', 'changes', '--ndjson', '--key', 'key'], bytes)
    assert.match(published.stdout.toString(), /^published 3265 records to "changes": 3265 stored, 0 duplicates, /)
    assert.equal(published.stderr, '')

    const all = await read('changes', '--from', 'earliest', '--count', String(FILE_CHANGES_RECORDS))
    assert.ok(all.equals(bytes), 'every byte that went in comes out')
    for (const offset of [1, 1000, 2048, FILE_CHANGES_RECORDS - 1]) {
      const left = FILE_CHANGES_RECORDS - offset
      const some = await read('changes', '--from', String(offset), '--count', String(left))
      assert.equal(some.toString(), textOf(lines.slice(offset)), `from offset ${offset}`)
    }
    const few = await read('changes', '--from', '100', '--until', '110')
    assert.equal(few.toString(), textOf(lines.slice(100, 110)), 'until ends it')
    assert.equal((await read('changes', '--from', 'last', '--count', '1')).toString(), textOf(lines.slice(-1)))
  })

  test('come back from any time, written as a moment or as an age', async () => {
    await server.succeed(['topics', 'create', 'timed', '--retain', 'forever'])
    const half = 1500
    await server.succeed(['pub', 'timed'], textOf(lines.slice(0, half)))
    await server.succeed(['pub', 'timed'], textOf(lines.slice(half)))
    const whole = await read('timed', '--json', '--until', String(FILE_CHANGES_RECORDS))
    const records = whole.toString().trimEnd().split('\n')
    const times = records.map((record) => (JSON.parse(record) as { timestampMs: number }).timestampMs)
    const moments = [times[0], times[half - 1], times[half], times.at(-1)]
    assert.ok((times[half - 1] ?? 0) < (times[half] ?? 0), 'two publishers, one after the other, have two times')

    for (const moment of moments) {
      assert.ok(moment !== undefined)
      const first = times.findIndex((time) => time >= moment)
      const from = new Date(moment).toISOString()
      const some = await read('timed', '--from', from, '--count', String(FILE_CHANGES_RECORDS - first))
      assert.equal(some.toString(), textOf(lines.slice(first)), `from ${from}`)
    }
    const recent = await read('timed', '--from', '1h', '--count', String(FILE_CHANGES_RECORDS))
    assert.ok(recent.equals(bytes), 'an hour ago there was nothing')
  })

  test('leave the first of each key in a compaction window, and the publisher is told of the others', async () => {
    await server.succeed(['topics', 'create', 'compacted', '--retain', '1h', '--compact', '10m'])
    const published = await server.succeed(['pub', 'compacted', '--ndjson', '--key', 'key'], bytes)
    assert.match(published.stdout.toString(), /^published 3265 records to "compacted": 133 stored, 3132 duplicates, /)
    const kept = await read('compacted', '--from', 'earliest', '--count', String(FILE_CHANGES_KEYS))
    assert.equal(kept.toString(), textOf(firstOfEachKey(lines)))

    const described = await server.succeed(['topics', 'describe', 'compacted', '--json'])
    const { partitions } = JSON.parse(described.stdout.toString()) as { partitions: { end: number }[] }
    assert.deepEqual(
      partitions.map(({ end }) => end),
      [FILE_CHANGES_KEYS],
      'exactly so many, and no more',
    )

    const again = await server.succeed(['pub', 'compacted', '--ndjson', '--key', 'key', '--json'], bytes)
    const { duplicates, records } = JSON.parse(again.stdout.toString()) as { duplicates: number; records: number }
    assert.deepEqual({ records, duplicates }, { records: FILE_CHANGES_RECORDS, duplicates: FILE_CHANGES_RECORDS })
    assert.equal(DUPLICATES, 3132)
  })

  test('keep their order for each key when the topic has partitions', async () => {
    await server.succeed(['topics', 'create', 'split', '--retain', '1h', '--partitions', '4'])
    await server.succeed(['pub', 'split', '--ndjson', '--key', 'key'], bytes)
    const read = await server.succeed(['sub', 'split', '--json', '--count', String(FILE_CHANGES_RECORDS)])
    const records = read.stdout.toString().trimEnd().split('\n')
    const received = records.map((record) => JSON.parse(record) as { key: string; partition: number; payload: string })
    const partitionsOf = new Map<string, Set<number>>()
    for (const { key, partition } of received) {
      partitionsOf.set(key, (partitionsOf.get(key) ?? new Set()).add(partition))
    }
    assert.equal(partitionsOf.size, FILE_CHANGES_KEYS)
    assert.ok(
      [...partitionsOf.values()].every(({ size }) => size === 1),
      'a key stays in one partition',
    )
    const inOrder = (key: string, payloads: readonly string[]): string[] =>
      payloads.filter((line) => line.includes(`"key":${JSON.stringify(key)},`))
    const payloads = received.map(({ payload }) => payload)
    for (const key of partitionsOf.keys()) assert.deepEqual(inOrder(key, payloads), inOrder(key, lines), key)
    assert.deepEqual([...payloads].sort(), [...lines].sort())
  })
})
