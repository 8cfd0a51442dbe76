/**
 * Members of a partitioned group that come and go all the time, with a word or without, and that say late what they have
 * finished: no gap, order in each partition, nothing committed by who lost it, and an end when it calms down.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBroker } from '../../src/index.js'
import { below, chance, SeededRandom } from '../helpers/faulty-random.js'
import { SEED } from '../helpers/seed.js'
import { StormLedger, StormMember } from '../helpers/storm-member.js'
import { KEPT, WireClient } from '../helpers/wire-client.js'

const ROUNDS = Number(process.env['LEVERET_ROUNDS'] ?? 300)
const PARTITIONS = 6
const MEMBERS_MAX = 5

test('a storm of members that come and go loses no record and lets nobody commit what it lost', async (t) => {
  t.diagnostic(`LEVERET_SEED=${SEED}`)
  const random = new SeededRandom(SEED)
  await using broker = await createBroker()
  await using publisher = await WireClient.connect(broker)
  await publisher.create('log', { ...KEPT, partitions: PARTITIONS })
  const ledger = new StormLedger(PARTITIONS)
  const ends = Array.from({ length: PARTITIONS }, () => 0)
  const all: StormMember[] = []
  const present = () => all.filter(({ isOver }) => !isOver)
  const join = async (name: string): Promise<void> => {
    all.push(await StormMember.join(broker, 'log', name, ledger))
  }
  for (let round = 0; round < ROUNDS; round++) {
    const partition = below(random, PARTITIONS)
    const count = 1 + below(random, 5)
    await publisher.publish(
      'log',
      Array.from({ length: count }, () => 'x'),
      { partition },
    )
    ends[partition] = (ends[partition] ?? 0) + count
    const members = present()
    const one = members[below(random, members.length)]
    const what = random.next()
    if (members.length < MEMBERS_MAX && what < 0.15) await join(`member-${round}`)
    else if (one !== undefined && what < 0.2) one.leave(chance(random, 0.5))
    // It comes again before it is missed.
    else if (one !== undefined && what < 0.25) await join(one.name)
    for (const member of all) {
      member.handle()
      if (chance(random, 0.3)) member.speak(chance(random, 0.3))
    }
    await new Promise((resolve) => setTimeout(resolve, below(random, 12)))
  }
  if (present().length === 0) await join('last')
  const isDone = () => ends.every((end, partition) => ledger.done[partition] === end)
  for (let round = 0; !isDone(); round++) {
    assert.ok(round < 3_000, `it does not end: ${ledger.done.join()} of ${ends.join()}`)
    for (const member of all) {
      member.handle()
      member.speak()
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  for (const [partition, end] of ends.entries()) assert.equal(ledger.handled[partition]?.size, end)
  const { fenced, twice } = ledger
  t.diagnostic(`${all.length} members, ${fenced} commits fenced, ${twice} records twice`)
  assert.ok(all.length > ROUNDS / 20)
  assert.ok(ROUNDS < 200 || fenced > 0, 'nobody was late')
  for (const member of all) await member.close()
})
