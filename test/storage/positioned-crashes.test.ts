/**
 * Groups that assign partitions, and named cursors, through random lives by the virtual clock: members that come, take over,
 * let go or do not, commit late and vanish, partitions that are added, positions that are moved, processes that are killed and
 * power that fails. No partition has two members whose commits count, what is safe stays so, and no record is skipped.
 */
import { test } from 'node:test'
import { fc } from '../helpers/fast-check.js'
import { PositionedLife } from '../helpers/positioned-life.js'
import { SEED as seed } from '../helpers/seed.js'

const RUNS = 40 * Number(process.env['LEVERET_ROUNDS'] ?? 1)

const pick = fc.nat({ max: 999 })
const name = fc.constantFrom('a', 'b', 'c')
const arbCut = fc.option(fc.record({ turns: fc.nat({ max: 30 }), isPowerLoss: fc.boolean() }), { freq: 4 })
const steps = {
  publish: fc.record({ kind: fc.constant('publish' as const), pick, records: fc.integer({ min: 1, max: 8 }) }),
  join: fc.record({ kind: fc.constant('join' as const), name, takeOver: fc.boolean() }),
  leave: fc.record({ kind: fc.constant('leave' as const), pick }),
  work: fc.record({ kind: fc.constant('work' as const), pick, records: fc.integer({ min: 1, max: 5 }) }),
  commit: fc.record({ kind: fc.constant('commit' as const), pick, isNamed: fc.boolean(), cut: fc.constant(null) }),
  cutCommit: fc.record({ kind: fc.constant('commit' as const), pick, isNamed: fc.boolean(), cut: arbCut }),
  confirm: fc.record({ kind: fc.constant('confirm' as const), pick }),
  seek: fc.record({ kind: fc.constant('seek' as const), pick, place: pick, cut: arbCut }),
  grow: fc.record({ kind: fc.constant('grow' as const) }),
  pass: fc.record({ kind: fc.constant('pass' as const), ms: fc.constantFrom(30, 200, 600, 11_000) }),
  kill: fc.record({ kind: fc.constant('kill' as const), isPowerLoss: fc.boolean() }),
}
const arbStep = fc.oneof(
  { weight: 3, arbitrary: steps.publish },
  { weight: 5, arbitrary: steps.join },
  { weight: 2, arbitrary: steps.leave },
  { weight: 6, arbitrary: steps.work },
  { weight: 6, arbitrary: steps.commit },
  { weight: 2, arbitrary: steps.cutCommit },
  { weight: 4, arbitrary: steps.confirm },
  { weight: 2, arbitrary: steps.seek },
  { weight: 1, arbitrary: steps.grow },
  { weight: 6, arbitrary: steps.pass },
  { weight: 1, arbitrary: steps.kill },
)
type Step = typeof arbStep extends fc.Arbitrary<infer One> ? One : never

async function act(life: PositionedLife, step: Step): Promise<void> {
  switch (step.kind) {
    case 'publish':
      return await life.publish(step.pick, step.records)
    case 'join':
      return await life.join(step.name, step.takeOver)
    case 'leave':
      return await life.leave(step.pick)
    case 'work':
      return life.work(step.pick, step.records)
    case 'commit':
      return await life.commit(step.pick, step.isNamed, step.cut)
    case 'confirm':
      return await life.confirm(step.pick)
    case 'seek':
      return await life.seek(step.pick, step.place, step.cut)
    case 'grow':
      return await life.grow()
    case 'pass':
      return await life.pass(step.ms)
    case 'kill':
      return await life.kill(step.isPowerLoss)
  }
}

for (const mode of ['cursor', 'partitioned'] as const) {
  test(`${mode}: whatever dies, what is committed stays so, one member reads a partition, and none is skipped`, async (context) => {
    let commits = 0
    let fenced = 0
    await fc.assert(
      fc.asyncProperty(fc.array(arbStep, { minLength: 20, maxLength: 80, size: 'max' }), async (all) => {
        const life = await PositionedLife.begin(mode)
        await life.publish(0, 5)
        await life.join('a', false)
        for (const step of all) await act(life, step)
        await life.finish()
        commits += life.commits
        fenced += life.fenced
      }),
      { numRuns: RUNS, seed, includeErrorInReport: true },
    )
    context.diagnostic(`seed ${seed}, ${RUNS} runs, ${commits} commits, ${fenced} fenced`)
  })
}
