/** A member of a shared group could have a name as long as a frame: then nobody could be told of its group. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { KEPT, subscribeFrame, WireClient } from '../helpers/wire-client.js'

test('the name of a member has an end, in every mode', async () => {
  await using broker = await createBroker()
  await using client = await WireClient.connect(broker)
  await client.create('jobs', KEPT)
  const member = 'm'.repeat(256)
  for (const mode of ['cursor', 'shared', 'partitioned'] as const) {
    const refused = await client.fails(subscribeFrame('jobs', { mode, group: mode, member }))
    assert.equal(refused, 'LVT_INVALID_ARGUMENT', mode)
  }
  await client.subscribe('jobs', { mode: 'shared', group: 'shared', member: member.slice(1) })
})
