/** `leveret check` as a process: its lines, its document, its exit codes, and what hostile names do to a terminal. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { runLeveret, type Server, startServer } from '../helpers/leveret-process.js'

/** Turns text around where it is printed; a legal name all the same. */
const NAME = 'évil \u202etopic'

describe('leveret check', () => {
  const data = mkdtempSync(join(tmpdir(), 'leveret-check-'))
  let segment = ''
  after(() => rmSync(data, { recursive: true, force: true }))

  before(async () => {
    const server: Server = await startServer(['--data', data])
    await server.succeed(['topics', 'create', NAME, '--retain', 'forever'])
    await server.succeed(['pub', NAME], 'one\ntwo\nthree\n')
    const inUse = await runLeveret(['check', data])
    assert.equal(inUse.code, 2)
    assert.match(inUse.stderr, /^leveret: the data directory .* is in use by process \d+/)
    await server.stop()
    const [topic = ''] = readdirSync(join(data, 'topics'))
    segment = join(data, 'topics', topic, '0', `${'0'.repeat(20)}.log`)
  })

  test('ends with 0 where nothing is wrong, and says what there is', async () => {
    const { code, stdout, stderr } = await runLeveret(['check', data])
    assert.deepEqual([code, stderr], [0, ''])
    assert.match(stdout.toString(), /^1 topics, 1 partitions, 1 segments, \d+ batches, 3 records, .*\nsound: 0 damaged/)
  })

  test('ends with 1 where something is damaged, with a line that says where', async () => {
    const whole = readFileSync(segment)
    const flipped = Buffer.from(whole)
    flipped[50] = (flipped[50] as number) ^ 4
    writeFileSync(segment, flipped)
    const { code, stdout } = await runLeveret(['check', data, '--repair'])
    assert.equal(code, 1)
    const [line = ''] = stdout.toString().split('\n')
    assert.match(line, /^damage: topic "évil \\u\{202e\}topic", partition 0, offsets? .*bytes are damaged.* at 0\)$/)
    assert.match(stdout.toString(), /\nNOT SOUND: 1 damaged/)
    assert.ok(!stdout.toString().includes('\u202e'), 'nothing turns the text around')
    assert.ok(readFileSync(segment).equals(flipped), 'damage is not touched')
    writeFileSync(segment, whole)
  })

  test('prints one document with --json', async () => {
    writeFileSync(join(data, 'catalog.b'), 'nothing\n')
    const { code, stdout } = await runLeveret(['check', data, '--json'])
    const document = JSON.parse(stdout.toString()) as Record<string, unknown>
    assert.equal(code, 1)
    assert.deepEqual([document['data'], document['isRepair'], document['isSound']], [data, false, false])
    assert.deepEqual(document['counts'], { damage: 0, repairable: 1, note: 0, repaired: 0 })
    const { code: repaired } = await runLeveret(['check', data, '--repair'])
    assert.equal(repaired, 0)
    assert.equal((await runLeveret(['check', data])).code, 0)
  })

  test('ends with 2 where there is nothing to check', async () => {
    for (const words of [['check'], ['check', join(data, 'nowhere')], ['check', join(data, 'topics')]]) {
      const { code, stdout, stderr } = await runLeveret(words)
      assert.deepEqual([code, stdout.toString()], [2, ''], words.join(' '))
      assert.match(stderr, /^leveret: /)
    }
  })
})
