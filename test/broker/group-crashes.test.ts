/**
 * A shared group through members that vanish at every step, processes that are killed and power that fails, by the virtual
 * clock: what was said to be safe stays so, every record ends as acked or as one dead letter, each is with one member at a
 * time, and says how often it came before.
 */
import { test } from 'node:test'
import { fc } from '../helpers/fast-check.js'
import { ACK_WAIT_MS, GroupLife } from '../helpers/group-crash-life.js'
import { SEED as seed } from '../helpers/seed.js'

const RUNS = 40 * Number(process.env['LEVERET_ROUNDS'] ?? 1)

const pick = fc.nat({ max: 999 })
const arbOutcome = fc.constantFrom(
  'ack' as const,
  'ack' as const,
  'retry' as const,
  'reject' as const,
  'extend' as const,
  'release' as const,
)
const arbStep = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('publish' as const), records: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('join' as const), records: fc.integer({ min: 1, max: 9 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), pick }) },
  { weight: 14, arbitrary: fc.record({ kind: fc.constant('say' as const), outcome: arbOutcome, pick }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('cut' as const),
      outcome: arbOutcome,
      pick,
      turns: fc.nat({ max: 30 }),
      isPowerLoss: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2 * ACK_WAIT_MS }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('kill' as const), isPowerLoss: fc.boolean() }) },
)

test('whatever dies, what is safe stays so, and every record ends as acked or as one dead letter', async (context) => {
  context.diagnostic(`seed ${seed}, ${RUNS} runs`)
  await fc.assert(
    fc.asyncProperty(fc.array(arbStep, { minLength: 15, maxLength: 60, size: 'max' }), async (steps) => {
      const life = await GroupLife.begin()
      await life.publish(3)
      for (const step of steps) {
        if (step.kind === 'publish') await life.publish(step.records)
        else if (step.kind === 'join') await life.join(step.records)
        else if (step.kind === 'leave') await life.leave(step.pick)
        else if (step.kind === 'say') await life.say(step.outcome, step.pick)
        else if (step.kind === 'cut') await life.say(step.outcome, step.pick, step)
        else if (step.kind === 'pass') await life.pass(step.ms)
        else await life.kill(step.isPowerLoss)
      }
      await life.finish()
    }),
    { numRuns: RUNS, seed, includeErrorInReport: true },
  )
})
