/**
 * Long random lives of a group against the oracle, and a storm of members. The seed of a failure is printed, and is all
 * that is needed to see it again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandom } from '../../../src/common/random.js'
import { ASSIGNORS, type AssignorName } from '../../../src/groups/partitioned/assignors.js'
import { below, chance, type SeededRandom } from '../../helpers/faulty-random.js'
import { GroupWorld, type WorldOptions } from './group-world.js'
import { OPTIONS } from './small-group.js'

const ASSIGNOR_NAMES = Object.keys(ASSIGNORS) as AssignorName[]

/** Run lives from seeds that follow one another, the first of them anything. */
function fromSeeds(lives: number, live: (seed: number) => void): number {
  const first = below(systemRandom, 0x7fff_ffff)
  for (let seed = first; seed < first + lives; seed++) {
    try {
      live(seed)
    } catch (error) {
      throw new Error(`seed ${seed}: ${error}`, { cause: error })
    }
  }
  return first
}

/** What may happen, and how often next to the others. */
const EVENTS: readonly (readonly [number, (world: GroupWorld, random: SeededRandom) => void])[] = [
  [60, (world) => world.commitAnything()],
  [20, (world) => world.commitOwned()],
  [15, (world) => world.join(world.name())],
  [8, (world) => world.leave(world.name())],
  [3, (world) => world.silence(world.name())],
  [5, (world) => world.setPosition()],
  [1, (world) => world.restart()],
  [1, (world) => world.oracle.partitions < 24 && world.addPartitions(1)],
  [20, (world, random) => world.pass(below(random, chance(random, 0.1) ? 5_000 : 300))],
]
const WEIGHTS = EVENTS.reduce((sum, [weight]) => sum + weight, 0)

function live(world: GroupWorld, steps: number): void {
  for (let step = 0; step < steps; step++) {
    let choice = below(world.random, WEIGHTS)
    const event = EVENTS.find(([weight]) => {
      choice -= weight
      return choice < 0
    })
    event![1](world, world.random)
    world.pass(below(world.random, 40))
  }
}

test('whatever members do, a partition has one owner, late commits move nothing, and quiet members are served', (t) => {
  let commits = 0
  let fenced = 0
  let rebalances = 0
  const life = (seed: number) => {
    const options: WorldOptions = {
      group: {
        ...OPTIONS,
        assignor: ASSIGNOR_NAMES[seed % 3]!,
        membersMax: 6,
        sessionTimeoutMs: 3_000,
        rebalanceDelayMs: [0, 50, 300][seed % 7] ?? 100,
        revokeWaitMs: [0, 200][seed % 5] ?? 1_000,
      },
      partitions: 1 + (seed % 12),
      names: 8,
      delayMs: 40,
      unconfirmed: 0.2,
      lateTicks: 0.2,
    }
    const world = new GroupWorld(seed, options)
    for (let round = 0; round < 4; round++) {
      live(world, 80)
      world.settle()
    }
    commits += world.commits
    fenced += world.fenced
    rebalances += world.oracle.group.facts().rebalances
  }
  const first = fromSeeds(150, life)
  t.diagnostic(
    `150 lives from seed ${first}: ${commits} commits, ${fenced} fenced, ${rebalances} rebalances since the last restarts`,
  )
  assert.ok(commits > 1_000 && fenced > 1_000 && rebalances > 100, 'the lives were full')
})

for (const assignor of ASSIGNOR_NAMES) {
  test(`${assignor}: ten minutes of members that come and go every 200 ms`, (t) => {
    const storm = (seed: number) => {
      const group = { ...OPTIONS, assignor, rebalanceDelayMs: 300, rebalanceDelayMaxMs: 1_000, revokeWaitMs: 1_000 }
      const options = { group, partitions: 12, names: 7, delayMs: 20, unconfirmed: 0.05, lateTicks: 0 }
      const world = new GroupWorld(seed, options)
      let longestMs = 0
      for (let change = 0; change < 3_000; change++) {
        const name = world.name()
        if (world.peers.has(name) && world.peers.size > 1) world.leave(name)
        else world.join(name)
        for (let step = 0; step < 4; step++) {
          world.commitOwned()
          world.pass(50)
        }
        longestMs = Math.max(longestMs, ...world.movedMs.map((movedMs) => world.oracle.nowMs - movedMs))
      }
      const { rebalances } = world.oracle.group.facts()
      t.diagnostic(`${world.commits} commits, ${world.fenced} fenced, ${rebalances} rebalances, idle ${longestMs} ms`)
      assert.ok(rebalances > 500)
      assert.ok(world.commits > 50_000)
      assert.ok(longestMs < 8_000, `a partition stood still for ${longestMs} ms`)
      world.settle()
    }
    t.diagnostic(`seed ${fromSeeds(1, storm)}`)
  })
}
