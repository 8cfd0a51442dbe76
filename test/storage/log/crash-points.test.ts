/**
 * A small fixed life of the store that dies in each of its calls to the system, one after the other: killed, and with the
 * power. Whatever was acknowledged before is there in the next life.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Simulation } from './simulation.js'

const SEED = Number(process.env.LEVERET_SEED ?? 7)
/** A life has some hundreds of calls: one for every thousand rounds that are asked for. */
const LIVES = Math.max(1, Math.floor(Number(process.env.LEVERET_ROUNDS ?? 0) / 1_000))
const OPERATIONS = 25

for (const ending of ['killed', 'power-loss'] as const) {
  test(`a life that ends in any one of its calls, ${ending}, leaves what was acknowledged`, async (context) => {
    let calls = 0
    for (let seed = SEED; seed < SEED + LIVES; seed++) {
      let call = 0
      for (; ; call++) {
        try {
          if (!(await new Simulation(seed).dieAt(call, ending, OPERATIONS))) break
        } catch (error) {
          const message = error instanceof Error ? error.message : error
          throw new Error(`LEVERET_SEED=${seed}, call ${call}: ${message}`, { cause: error })
        }
      }
      assert.ok(call > 100, `a life of ${call} calls`)
      calls += call
    }
    context.diagnostic(`LEVERET_SEED=${SEED}: ${calls} calls`)
  })
}
