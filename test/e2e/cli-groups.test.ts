/**
 * `leveret groups` and `leveret sub --group` as processes: what operators see and do, with exit codes and messages.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { GroupDescription } from '../../client/index.js'
import { runLeveret, type Server, startServer } from '../helpers/leveret-process.js'

describe('a command line about groups that is not understood', () => {
  const wrong: readonly (readonly [string, readonly string[]])[] = [
    ['no group', ['groups', 'describe', 'orders']],
    ['an unknown action', ['groups', 'forget', 'orders', 'billing']],
    ['no place', ['groups', 'seek', 'orders', 'billing']],
    ['a place that is none', ['groups', 'seek', 'orders', 'billing', 'somewhere']],
    ['a partition that is none', ['groups', 'seek', 'orders', 'billing', '0', '--partition', 'x']],
    ['a mode without a group', ['sub', 'orders', '--mode', 'shared']],
    ['a mode that is none', ['sub', 'orders', '--group', 'g', '--mode', 'both']],
    ['a name beside a group', ['sub', 'orders', '--group', 'g', '--name', 'n']],
    ['somebody to send away from nowhere', ['sub', 'orders', '--take-over']],
    ['an end of a group', ['sub', 'orders', '--group', 'g', '--until', '4']],
  ]
  for (const [what, words] of wrong) {
    test(`ends with 2: ${what}`, async () => {
      const { code, stdout, stderr } = await runLeveret(words)
      assert.equal(code, 2, stderr)
      assert.match(stderr, /^leveret: /)
      assert.equal(stdout.toString(), '')
    })
  }
})

describe('groups on the command line', () => {
  let server: Server
  before(async () => {
    server = await startServer()
  })
  after(() => server.stop())

  const print = async (...words: string[]): Promise<string> => (await server.succeed(words)).stdout.toString()
  const state = async (topic: string, group: string): Promise<GroupDescription> =>
    JSON.parse(await print('groups', 'describe', topic, group, '--json')) as GroupDescription

  test('a shared group hands out, is described, moved, paused, resumed and deleted', async () => {
    await print('topics', 'create', 'orders', '--retain', '1h')
    await server.succeed(['pub', 'orders'], 'a\nb\nc\nd\n')
    assert.equal(await print('sub', 'orders', '--group', 'billing', '--count', '3'), 'a\nb\nc\n')
    const { mode, lag, members } = await state('orders', 'billing')
    assert.deepEqual([mode, lag, members], ['shared', 1, []])
    const described = await print('groups', 'describe', 'orders', 'billing')
    assert.match(described, /^topic +orders$/m)
    assert.match(described, /^mode +shared$/m)
    // The last one may have been on its way when the member left: it is due again then.
    assert.match(described, /^lag +1 record, [01] in flight$/m)
    assert.match(described, /^oldest +(nothing given out|given out \d+m?s ago)$/m)
    assert.match(described, /^partition 0 +at 3 of 4, lag 1, [01] in flight$/m)
    assert.match(described, /^members +none$/m)

    assert.match(await print('groups', 'seek', 'orders', 'billing', '1'), /^partition 0 +at 1 of 4/m)
    assert.match(await print('groups', 'pause', 'orders', 'billing'), /^mode +shared, paused$/m)
    const member = server.start(['sub', 'orders', '--group', 'billing', '--count', '3'])
    while ((await state('orders', 'billing')).members.length === 0);
    assert.equal((await state('orders', 'billing')).inFlight, 0)
    assert.match(await print('groups', 'describe', 'orders', 'billing'), /^member .*holds 0 records, 0 expired$/m)
    assert.doesNotMatch(await print('groups', 'resume', 'orders', 'billing'), /paused/)
    const { code, stdout } = await member.ended
    assert.deepEqual([code, stdout.toString()], [0, 'b\nc\nd\n'])
    assert.match(await print('groups', 'list', 'orders'), /^orders {2}billing {2}shared {2}lag 0 {2}in flight 0\n$/)

    assert.match(await print('groups', 'delete', 'orders', 'billing'), /^deleted group billing of orders$/m)
    assert.equal(await print('groups', 'list', 'orders'), '')
    assert.equal(await print('sub', 'orders', '--group', 'billing', '--from', '2', '--count', '1'), 'c\n')
  })

  test('a named cursor with an end prints up to it, keeps its position and leaves its seat', async () => {
    await print('topics', 'create', 'chapters', '--retain', '1h')
    await server.succeed(['pub', 'chapters'], 'a\nb\nc\nd\n')
    assert.equal(await print('sub', 'chapters', '--name', 'reader', '--until', '3'), 'a\nb\nc\n')
    const { partitions, members } = await state('chapters', 'reader')
    assert.deepEqual([partitions[0]?.position, members], [3, []])
    assert.equal(await print('sub', 'chapters', '--name', 'reader', '--until', '3'), '')
    assert.equal(await print('sub', 'chapters', '--name', 'reader', '--until', '4'), 'd\n')
    assert.equal((await state('chapters', 'reader')).lag, 0)
  })

  test('moves one partition alone, and lists the groups of all topics', async () => {
    await print('topics', 'create', 'split', '--retain', '1h', '--partitions', '2')
    await server.succeed(['pub', 'split'], 'a\nb\nc\nd\ne\nf\n')
    const read = await print('sub', 'split', '--group', 'all', '--count', '6')
    assert.deepEqual(read.split('\n').filter(Boolean).sort(), ['a', 'b', 'c', 'd', 'e', 'f'])
    const before = await state('split', 'all')
    const partition = before.partitions.find(({ end }) => end > 0)?.partition ?? 0
    await print('groups', 'seek', 'split', 'all', 'earliest', '--partition', `${partition}`)
    const { partitions } = await state('split', 'all')
    assert.deepEqual(
      partitions.map(({ position }) => position),
      before.partitions.map(({ position }, index) => (index === partition ? 0 : position)),
    )
    await print('groups', 'seek', 'split', 'all', 'latest')
    assert.equal((await state('split', 'all')).lag, 0)
    const all = JSON.parse(await print('groups', 'list', '--json')) as { topic: string; name: string }[]
    assert.ok(all.some(({ topic, name }) => topic === 'split' && name === 'all'))
    const { code, stderr } = await server.leveret(['groups', 'seek', 'split', 'all', '0', '--partition', '7'])
    assert.deepEqual([code, stderr], [1, 'leveret: topic "split" has 2 partitions, no number 7\n'])
  })

  test('a name keeps its position, and has one reader at a time', async () => {
    await print('topics', 'create', 'audited', '--retain', '1h')
    await server.succeed(['pub', 'audited'], 'a\nb\nc\nd\n')
    assert.equal(await print('sub', 'audited', '--name', 'audit', '--count', '2'), 'a\nb\n')
    const { mode, lag } = await state('audited', 'audit')
    assert.deepEqual([mode, lag], ['cursor', 2])
    assert.equal(await print('sub', 'audited', '--name', 'audit', '--count', '1'), 'c\n')
    const reader = server.start(['sub', 'audited', '--name', 'audit'])
    await reader.printed(/^d\n$/)
    const refused = await server.leveret(['sub', 'audited', '--name', 'audit'])
    assert.equal(refused.code, 1)
    assert.match(refused.stderr, /^leveret: .*"audit" is read by member/m)
    const other = server.start(['sub', 'audited', '--name', 'audit', '--take-over'])
    const { code, stderr } = await reader.ended
    assert.equal(code, 1)
    assert.match(stderr, /^leveret: /)
    const shown = await print('groups', 'describe', 'audited', 'audit')
    assert.match(shown, /^mode +cursor$/m)
    assert.match(shown, /^lag +0 records$/m)
    assert.match(shown, /^oldest +nothing to be done$/m)
    assert.match(shown, /^partition 0 +at 4 of 4, lag 0, read by \w+$/m)
    assert.match(shown, /^member \w+ +partitions 0/m)
    await server.succeed(['pub', 'audited'], 'e\n')
    await other.printed(/^e\n$/)
    other.signal('SIGINT')
    assert.equal((await other.ended).code, 0)
  })

  test('members of a partitioned group print each record once', async () => {
    await print('topics', 'create', 'parts', '--retain', '1h', '--partitions', '4')
    const words = ['sub', 'parts', '--group', 'readers', '--mode', 'partitioned']
    const members = [server.start(words), server.start(words)]
    const assigned = async () => (await state('parts', 'readers').catch(() => null))?.members ?? []
    while ((await assigned()).filter(({ partitions }) => partitions.length === 2).length < 2);
    const lines = Array.from({ length: 400 }, (_, index) => JSON.stringify({ id: `${index}` }))
    await server.succeed(['pub', 'parts', '--ndjson', '--key', 'id'], `${lines.join('\n')}\n`)
    while ((await state('parts', 'readers')).lag > 0);
    for (const member of members) member.signal('SIGINT')
    const ended = await Promise.all(members.map((member) => member.ended))
    const printed = ended.map(({ code, stdout }) => {
      assert.equal(code, 0)
      return stdout.toString().split('\n').filter(Boolean)
    })
    assert.deepEqual(printed.flat().sort(), lines.toSorted())
    for (const part of printed) assert.ok(part.length > 0)
    assert.match(await print('groups', 'describe', 'parts', 'readers'), /^counted +generation \d+, \d+ rebalances/m)
  })

  test('what is not there is told, and not made by asking', async () => {
    for (const words of [
      ['groups', 'list', 'missing'],
      ['groups', 'describe', 'missing', 'group'],
      ['groups', 'delete', 'missing', 'group'],
    ]) {
      const { code, stdout, stderr } = await server.leveret(words)
      assert.deepEqual([code, stdout.toString(), stderr], [1, '', 'leveret: topic "missing" does not exist\n'])
    }
    await print('topics', 'create', 'empty', '--retain', '1h')
    const { code, stderr } = await server.leveret(['groups', 'pause', 'empty', 'nobody'])
    assert.deepEqual([code, stderr], [1, 'leveret: topic "empty" has no group "nobody"\n'])
    assert.doesNotMatch(await print('topics', 'list'), /missing/)
  })

  test('a group of a topic that would keep nothing is refused with the remedy', async () => {
    const { code, stderr } = await server.leveret(['sub', 'fleeting', '--group', 'g'])
    assert.equal(code, 1)
    assert.match(stderr, /^leveret: .*`leveret topics create fleeting --retain forever`/m)
    assert.doesNotMatch(await print('topics', 'list'), /fleeting/)
  })
})
