/** What an operator asks of groups through the client, against a server whose answers the tests write. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect, type GroupDescription } from '../../client/index.js'
import { toOffset } from '../../src/model/offset.js'
import { done, FakeServer, failure } from '../helpers/fake-server.js'

function describing(name: string, lag = 0): GroupDescription {
  const counters = { redeliveries: 0, expired: 0, deadLetters: 0, rebalances: 0, fenced: 0 }
  const partitions = [{ partition: 0, position: toOffset(3), end: toOffset(3 + lag), lag, inFlight: 1, member: '' }]
  const state = { isPaused: false, generation: 0, lag, inFlight: 1, oldestMs: 20, partitions, members: [] }
  return { name, mode: 'shared', ...state, ...counters }
}

test('the groups of a topic are listed page by page', async () => {
  await using server = await FakeServer.start()
  server.describing = (frame) => {
    const names = ['a', 'b', 'c'].filter((name) => name > frame.after)
    const groups = names.slice(0, 2).map((name) => describing(name))
    return { kind: 'description', id: frame.id, topics: [], groups, more: names.length > 2 }
  }
  await using client = await connect({ port: server.port })
  const groups = await client.groups('t')
  assert.deepEqual(
    groups.map(({ name }) => name),
    ['a', 'b', 'c'],
  )
  assert.deepEqual(
    server.all('describe').map(({ topic, group, after, groups }) => [topic, group, after, groups]),
    [
      ['t', '', '', true],
      ['t', '', 'b', true],
    ],
  )
})

test('a group is described, and one that is not there says so', async () => {
  await using server = await FakeServer.start()
  server.describing = ({ id, group }) =>
    group === 'g'
      ? { kind: 'description', id, topics: [], groups: [describing('g', 7)], more: false }
      : failure(id, 'LVT_GROUP_NOT_FOUND')
  await using client = await connect({ port: server.port })
  assert.deepEqual(await client.describeGroup('t', 'g'), describing('g', 7))
  await assert.rejects(client.describeGroup('t', 'h'), { name: 'GroupNotFoundError' })
  await assert.rejects(client.describeGroup('t', ''), { code: 'LVT_INVALID_ARGUMENT' })
})

test('a group is moved, paused, resumed and deleted', async () => {
  await using server = await FakeServer.start((frame, peer) => {
    if (frame.kind === 'manage-group') peer.send(done(frame.id))
  })
  await using client = await connect({ port: server.port })
  await client.seekGroup('t', 'g', { offset: 5 }, { partition: 2 })
  await client.seekGroup('t', 'g', 'latest')
  await client.pauseGroup('t', 'g')
  await client.resumeGroup('t', 'g')
  await client.deleteGroup('t', 'g')
  const said = server.all('manage-group').map(({ action, start, partition }) => [action, start, partition])
  assert.deepEqual(said, [
    ['seek', { kind: 'offset', offset: 5 }, 2],
    ['seek', { kind: 'latest' }, null],
    ['pause', { kind: 'earliest' }, null],
    ['resume', { kind: 'earliest' }, null],
    ['delete', { kind: 'earliest' }, null],
  ])
  await assert.rejects(client.seekGroup('t', 'g', { offset: -1 }), { code: 'LVT_INVALID_ARGUMENT' })
  await assert.rejects(client.seekGroup('t', 'g', 'latest', { partition: -1 }), { code: 'LVT_INVALID_ARGUMENT' })
})
