/** What a check of a data directory finds, what it calls it, what a repair does, and that it touches nothing else. */
import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { crc32 } from 'node:zlib'
import { LeveretError } from '../../../src/common/errors.js'
import { DEFAULT_TOPIC_SETTINGS, KEEP_FOREVER } from '../../../src/model/topic.js'
import type { CheckReport, Finding } from '../../../src/storage/check-report.js'
import { checkData } from '../../../src/storage/log/check.js'
import { Keyring } from '../../../src/storage/log/keyring.js'
import type { LogStore } from '../../../src/storage/log/log-store.js'
import { batchAt } from '../../helpers/batches.js'
import { LogPlace } from '../../helpers/log-place.js'
import { quickFileSystem } from '../../helpers/quick-file-system.js'

const SETTINGS = { ...DEFAULT_TOPIC_SETTINGS, retention: KEEP_FOREVER, partitions: 2, durability: 'os' } as const
const TOPIC = 'orders'
const OTHER = 'Lagerbestände \u202e'
const KEYRING = Keyring.parse('ab'.repeat(32))
/** Batches of 10 records in each partition; a segment takes a few of them. */
const BATCHES = 12
const SEGMENT_BYTES = 400

async function fill(store: LogStore, batches = BATCHES): Promise<void> {
  for (const topic of [TOPIC, OTHER]) {
    await store.saveTopic(topic, SETTINGS)
    for (const partition of [0, 1]) {
      const log = await store.partition(topic, partition)
      for (let batch = 0; batch < batches; batch++) {
        const { body, count } = batchAt(log.end, 10)
        const how = { durability: 'os', keep: true, producer: null, timestampMs: 1_000 + batch } as const
        await log.append({ body, count }, how)
      }
    }
  }
}

async function filled(t: TestContext, keyring: Keyring | null = null): Promise<LogPlace> {
  const place = await LogPlace.temporary({ segmentBytes: SEGMENT_BYTES, keyring }, { fs: quickFileSystem })
  t.after(() => place.remove())
  const store = await place.open()
  await fill(store)
  await store.close()
  return place
}

/** As a killed server leaves it: everything written, nothing closed. */
async function killed(t: TestContext): Promise<LogPlace> {
  const running = await LogPlace.temporary({ segmentBytes: SEGMENT_BYTES }, { fs: quickFileSystem })
  const place = await LogPlace.temporary({ segmentBytes: SEGMENT_BYTES }, { fs: quickFileSystem })
  t.after(() => place.remove())
  const store = await running.open()
  await fill(store)
  cpSync(running.data, place.data, { recursive: true })
  await store.close()
  running.remove()
  return place
}

function check(data: string, { isRepair = false, keyring = null as Keyring | null } = {}): Promise<CheckReport> {
  const { signal } = new AbortController()
  const request = { data, isRepair, onFinding: () => undefined, onProgress: () => undefined, signal }
  return checkData(request, { fs: quickFileSystem, keyring })
}

/** Every file below, with its content. */
function contentOf(data: string): Map<string, string> {
  const files = new Map<string, string>()
  for (const entry of readdirSync(data, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) files.set(path.slice(data.length + 1), readFileSync(path).toString('latin1'))
  }
  return files
}

function partitionDirectory(data: string): string {
  return join(data, 'topics', `${TOPIC}@1`, '0')
}

function segmentsOf(data: string): string[] {
  const directory = partitionDirectory(data)
  const names = readdirSync(directory).filter((name) => name.endsWith('.log'))
  return names.sort().map((name) => join(directory, name))
}

function change(path: string, alter: (content: Buffer) => Buffer): void {
  writeFileSync(path, alter(readFileSync(path)))
}

function flip(path: string, position: number, bit = 0): void {
  change(path, (content) => {
    content[position] = (content[position] as number) ^ (1 << bit)
    return content
  })
}

function told({ findings }: CheckReport, kind: Finding['kind']): Finding {
  const found = findings.filter((finding) => finding.kind === kind)
  assert.equal(found.length, 1, `findings of kind ${kind} among ${JSON.stringify(findings, null, 1)}`)
  return found[0] as Finding
}

/** After a repair: nothing but notes, and a store that opens. */
async function soundNow(place: LogPlace): Promise<CheckReport> {
  const report = await check(place.data)
  assert.deepEqual(
    report.findings.filter(({ severity }) => severity !== 'note'),
    [],
  )
  assert.ok(report.isSound)
  const store = await place.open()
  await store.close()
  return report
}

describe('data that is sound', () => {
  test('is counted, and stays as it is to the last byte', async (t) => {
    const place = await filled(t)
    const before = contentOf(place.data)
    const report = await check(place.data)
    assert.deepEqual(report.findings, [])
    assert.deepEqual([report.isSound, report.isClosed], [true, true])
    const logs = [...before].filter(([name]) => name.endsWith('.log'))
    const bytes = logs.reduce((sum, [, content]) => sum + content.length, 0)
    const batches = 4 * BATCHES
    const expected = { topics: 2, partitions: 4, segments: logs.length, batches, records: 10 * batches, bytes }
    assert.deepEqual(report.totals, expected)
    assert.ok(logs.length >= 12, 'there are several segments in each partition')
    assert.deepEqual(contentOf(place.data), before)
  })

  test('is sound after a kill, and is said not to have been closed', async (t) => {
    const place = await killed(t)
    const before = contentOf(place.data)
    const report = await check(place.data)
    // What was being replaced at that moment may lie about.
    const passing = ['leftover', 'catalog']
    assert.ok(report.findings.every(({ kind, severity }) => passing.includes(kind) && severity === 'note'))
    assert.deepEqual([report.isSound, report.isClosed], [true, false])
    assert.deepEqual(contentOf(place.data), before)
  })

  test('is left alone by a repair, but for the lock', async (t) => {
    const place = await filled(t)
    const before = contentOf(place.data)
    assert.deepEqual((await check(place.data, { isRepair: true })).findings, [])
    assert.deepEqual(contentOf(place.data), before)
  })

  test('may hold files of others and left-overs: they are noted', async (t) => {
    const place = await filled(t)
    writeFileSync(join(place.data, 'README'), '')
    writeFileSync(join(partitionDirectory(place.data), '00000000000000000000.log.torn-17'), 'x')
    const report = await check(place.data)
    assert.ok(report.isSound)
    assert.equal(told(report, 'stranger').file, 'README')
    assert.equal(told(report, 'leftover').severity, 'note')
  })
})

test('data that a store has open is refused, and so is what is no data', async (t) => {
  const place = await filled(t)
  const store = await place.open()
  for (const isRepair of [false, true]) {
    const isInUse = (error: unknown) => error instanceof LeveretError && error.code === 'LVT_DATA_IN_USE'
    await assert.rejects(check(place.data, { isRepair }), isInUse)
  }
  await store.close()
  await assert.rejects(check(join(place.data, 'topics')), /no data directory/)
  await assert.rejects(check(join(place.data, 'nowhere')), /does not exist/)
})

describe('a log', () => {
  test('with damage in the middle is told with offsets and place, and never touched', async (t) => {
    const place = await filled(t)
    const [, second = ''] = segmentsOf(place.data)
    flip(second, 60)
    const before = contentOf(place.data)
    for (const isRepair of [false, true]) {
      const report = await check(place.data, { isRepair })
      const finding = told(report, 'corrupt')
      const base = Number(second.slice(-24, -4))
      assert.deepEqual(finding.offsets, { from: base, to: base + 10 })
      assert.deepEqual([finding.topic, finding.partition, finding.position], [TOPIC, 0, 0])
      assert.equal(join(place.data, finding.file), second)
      assert.deepEqual([report.isSound, report.totals.batches], [false, 4 * BATCHES - 1])
    }
    const logs = [...contentOf(place.data)].filter(([name]) => name.endsWith('.log'))
    for (const [name, content] of logs) assert.equal(content, before.get(name), name)
  })

  test('with an unfinished write at its end is cut by a repair, which keeps the bytes', async (t) => {
    const place = await killed(t)
    const last = segmentsOf(place.data).at(-1) as string
    const torn = readFileSync(segmentsOf(place.data)[0] as string).subarray(0, 100)
    const { size } = statSync(last)
    change(last, (content) => Buffer.concat([content, torn]))
    const before = contentOf(place.data)
    const found = told(await check(place.data), 'torn')
    assert.deepEqual([found.severity, found.position, found.bytes, found.isRepaired], ['repairable', size, 100, false])
    assert.deepEqual(contentOf(place.data), before)
    const report = await check(place.data, { isRepair: true })
    assert.deepEqual([report.isSound, told(report, 'torn').isRepaired], [true, true])
    assert.equal(statSync(last).size, size)
    assert.ok(readFileSync(`${last}.torn-${size}`).equals(torn))
    const after = await soundNow(place)
    assert.ok(after.findings.some(({ kind, file }) => kind === 'leftover' && file === `${found.file}.torn-${size}`))
    assert.equal(after.totals.records, 4 * BATCHES * 10)
  })

  test('whose end was closed and is damaged now is not taken for one with an unfinished write', async (t) => {
    const place = await filled(t)
    const last = segmentsOf(place.data).at(-1) as string
    const { size } = statSync(last)
    flip(last, size - 1)
    const report = await check(place.data, { isRepair: true })
    const end = BATCHES * 10
    assert.deepEqual(told(report, 'corrupt').offsets, { from: end - 10, to: end })
    assert.deepEqual([report.isSound, report.counts.repaired, statSync(last).size], [false, 0, size])
  })

  for (const which of ['first', 'middle', 'last'] as const) {
    test(`without its ${which} segment misses just these offsets`, async (t) => {
      const place = await filled(t)
      const segments = segmentsOf(place.data)
      const at = { first: 0, middle: 1, last: segments.length - 1 }[which]
      const gone = segments[at] as string
      rmSync(gone)
      const report = await check(place.data)
      const next = segments[at + 1]
      const to = next === undefined ? BATCHES * 10 : Number(next.slice(-24, -4))
      assert.deepEqual(told(report, 'missing').offsets, { from: Number(gone.slice(-24, -4)), to })
      assert.equal(report.isSound, false)
      assert.equal(told(report, 'leftover').message, 'an index whose segment is not there')
    })
  }

  test('knows a batch that was written to another place', async (t) => {
    const place = await filled(t)
    const [first = '', second = ''] = segmentsOf(place.data)
    const other = readFileSync(second)
    change(first, (content) => Buffer.concat([other.subarray(0, 100), content.subarray(100)]))
    const finding = told(await check(place.data), 'corrupt')
    assert.deepEqual([finding.position, finding.offsets?.from], [0, 0])
  })

  test('knows a batch with another number of records than it says, whatever its checksum', async (t) => {
    const place = await filled(t)
    const [first = ''] = segmentsOf(place.data)
    change(first, (content) => {
      const bytes = content.readUInt16LE(6) + content.readUInt32LE(8)
      content.writeUInt32LE(9, 12)
      content.writeUInt32LE(crc32(content.subarray(4, bytes)), 0)
      return content
    })
    const report = await check(place.data)
    assert.match(told(report, 'corrupt').message, /says that it has 9 records and has 10/)
    assert.deepEqual(told(report, 'missing').offsets, { from: 9, to: 10 })
  })
})

describe('an index', () => {
  const harms: Readonly<Record<string, (path: string) => void>> = {
    deleted: (path) => rmSync(path),
    zeroed: (path) => change(path, (content) => Buffer.alloc(content.length)),
    'cut short': (path) => change(path, (content) => content.subarray(0, content.length - 5)),
    'of another partition': (path) => cpSync(path.replace(/0(?=.\d{20}\.index$)/, '1'), path),
  }
  for (const [what, harm] of Object.entries(harms)) {
    test(`that is ${what} is rebuilt by a repair`, async (t) => {
      const place = await filled(t)
      const whole = contentOf(place.data)
      for (const segment of segmentsOf(place.data)) harm(segment.replace(/log$/, 'index'))
      const found = await check(place.data)
      assert.ok(!found.isSound && found.findings.every(({ kind }) => kind === 'index'))
      const report = await check(place.data, { isRepair: true })
      assert.ok(report.isSound && report.findings.every(({ isRepaired }) => isRepaired))
      const after = await soundNow(place)
      assert.deepEqual(after.findings, [])
      const names = [...whole.keys()].filter((name) => !/^(?:lock|catalog)/.test(name))
      const now = contentOf(place.data)
      for (const name of names) if (name.endsWith('.log')) assert.equal(now.get(name), whole.get(name), name)
    })
  }

  test('a crash left of records that were dropped when the topic kept nothing for a time is no damage', async (t) => {
    const place = await filled(t)
    const directory = join(place.data, 'topics', `${TOPIC}@1`, '0')
    const old = contentOf(directory)
    const store = await place.open()
    const log = await store.partition(TOPIC, 0)
    const pass = (keep: boolean) =>
      log.append(batchAt(log.end, 10), { durability: 'memory', keep, producer: null, timestampMs: 9_000 })
    await pass(false)
    await pass(true)
    await store.close()
    for (const [name, content] of old) {
      if (name.endsWith('.log')) writeFileSync(join(directory, name), Buffer.from(content, 'latin1'))
    }
    const report = await check(place.data)
    assert.ok(report.isSound)
    const logs = [...old.keys()].filter((name) => name.endsWith('.log'))
    assert.ok(logs.length > 2)
    assert.deepEqual(
      report.findings.map(({ severity, kind, message }) => [severity, kind, message]),
      logs.map(() => ['note', 'leftover', 'of records that were dropped when the topic kept nothing for a time']),
    )
    await soundNow(place)
  })

  test('whose files are all gone is damage, be it a partition or a topic', async (t) => {
    const place = await filled(t)
    rmSync(partitionDirectory(place.data), { recursive: true })
    const one = told(await check(place.data), 'missing')
    assert.deepEqual([one.severity, one.topic, one.partition], ['damage', TOPIC, 0])
    rmSync(join(place.data, 'topics', `${TOPIC}@1`), { recursive: true })
    const report = await check(place.data, { isRepair: true })
    assert.deepEqual([report.isSound, report.findings.map(({ partition }) => partition)], [false, [0, 1]])
  })
})

describe('the catalog', () => {
  for (const [what, harm] of [
    ['missing', (path: string) => rmSync(path)],
    ['damaged', (path: string) => flip(path, 200)],
    ['short', (path: string) => change(path, (content) => content.subarray(0, content.indexOf(0x0a, 100) + 1))],
    ['torn', (path: string) => change(path, (content) => Buffer.concat([content, Buffer.from('0123')]))],
  ] as const) {
    test(`of which one copy is ${what} is restored from the other by a repair`, async (t) => {
      const place = await filled(t)
      const [a, b] = [join(place.data, 'catalog.a'), join(place.data, 'catalog.b')]
      const whole = readFileSync(a)
      harm(b)
      const found = await check(place.data)
      assert.deepEqual([found.isSound, found.findings[0]?.file], [false, 'catalog.b'])
      assert.ok((await check(place.data, { isRepair: true })).isSound)
      assert.ok(readFileSync(b).equals(whole) && readFileSync(a).equals(whole))
      await soundNow(place)
    })
  }

  test('that is damaged in both copies is damage, and the logs are verified all the same', async (t) => {
    const place = await filled(t)
    for (const name of ['catalog.a', 'catalog.b']) flip(join(place.data, name), 200)
    const before = contentOf(place.data)
    const report = await check(place.data, { isRepair: true })
    assert.deepEqual([report.isSound, report.totals.records], [false, 4 * BATCHES * 10])
    assert.ok(report.findings.every(({ kind, severity }) => kind === 'catalog' && severity === 'damage'))
    assert.deepEqual(contentOf(place.data), before)
  })

  test('that is older than the data is damage, and so is a directory that it does not explain', async (t) => {
    const place = await LogPlace.temporary({ segmentBytes: SEGMENT_BYTES }, { fs: quickFileSystem })
    t.after(() => place.remove())
    const store = await place.open()
    await store.saveTopic(TOPIC, SETTINGS)
    await store.close()
    const old = readFileSync(join(place.data, 'catalog.a'))
    const again = await place.open()
    await fill(again)
    await again.close()
    for (const name of ['catalog.a', 'catalog.b']) writeFileSync(join(place.data, name), old)
    const report = await check(place.data)
    assert.match(told(report, 'catalog').message, /of generation \d+, and the data has seen generation \d+/)
    assert.match(told(report, 'unexplained').file, /^topics\/.*@2\/$/)
  })

  test('names the directories of topics: another name is not explained', async (t) => {
    const place = await filled(t)
    mkdirSync(join(place.data, 'topics', 'mine'))
    renameSync(join(place.data, 'topics', `${TOPIC}@1`), join(place.data, 'topics', 'order@1'))
    const report = await check(place.data)
    const files = report.findings.map(({ kind, file }) => `${kind} ${file}`)
    const missing = ['missing topics/orders@1/0', 'missing topics/orders@1/1']
    assert.deepEqual(files, [...missing, 'unexplained topics/mine/', 'unexplained topics/order@1/'])
  })
})

describe('encrypted data', () => {
  test('is opened with its key, and verified by its checksums without', async (t) => {
    const place = await filled(t, KEYRING)
    const open = await check(place.data, { keyring: KEYRING })
    assert.deepEqual([open.findings, open.totals.records], [[], 4 * BATCHES * 10])
    const closed = await check(place.data)
    assert.ok(closed.isSound)
    assert.ok(closed.findings.every(({ kind, severity }) => kind === 'sealed' && severity === 'note'))
    assert.equal(closed.findings.length, 2)
  })

  test('that was changed by somebody who knows checksums does not open', async (t) => {
    const place = await filled(t, KEYRING)
    const [first = ''] = segmentsOf(place.data)
    change(first, (content) => {
      const bytes = content.readUInt16LE(6) + content.readUInt32LE(8)
      content[bytes - 1] = (content[bytes - 1] as number) ^ 1
      content.writeUInt32LE(crc32(content.subarray(4, bytes)), 0)
      return content
    })
    const finding = told(await check(place.data, { keyring: KEYRING }), 'sealed')
    assert.deepEqual([finding.severity, finding.offsets], ['damage', { from: 0, to: 10 }])
  })
})

test('no flipped bit in any file goes unseen', async (t) => {
  // The spare room holds nothing that could be harmed.
  const place = await LogPlace.temporary({ segmentBytes: 300, spareBytes: 0 }, { fs: quickFileSystem })
  t.after(() => place.remove())
  const store = await place.open()
  await store.saveTopic(TOPIC, { ...SETTINGS, partitions: 1 })
  const log = await store.partition(TOPIC, 0)
  for (let batch = 0; batch < 5; batch++) {
    const { body, count } = batchAt(log.end, 3)
    await log.append({ body, count }, { durability: 'os', keep: true, producer: null, timestampMs: batch })
  }
  await store.close()
  for (const [name, content] of contentOf(place.data)) {
    const path = join(place.data, name)
    const whole = Buffer.from(content, 'latin1')
    for (let position = 0; position < whole.length; position++) {
      // Each byte one bit, and all bits in turn.
      flip(path, position, position % 8)
      const report = await check(place.data).catch(() => ({ isSound: false }))
      assert.equal(report.isSound, false, `bit ${position % 8} of byte ${position} of ${name}`)
      writeFileSync(path, whole)
    }
  }
  assert.ok((await check(place.data)).isSound)
})
