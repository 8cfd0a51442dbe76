/**
 * Losses of power and kills at random calls, several lives on the same files: nothing that was acknowledged at `disk` is
 * lost, nothing that was read changes, and what is missing is told. LEVERET_ROUNDS and LEVERET_SEED choose how much and where.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Simulation } from './simulation.js'

const ROUNDS = Number(process.env.LEVERET_ROUNDS ?? 700)
const SEED = Number(process.env.LEVERET_SEED ?? 1)
const LIVES = 4

test('what was acknowledged outlives kills and losses of power at any call', async (context) => {
  const total = { crashes: 0, powerLosses: 0, verified: 0, appends: 0, acked: 0 }
  for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
    const simulation = new Simulation(seed)
    try {
      await simulation.run(LIVES)
    } catch (error) {
      throw new Error(`LEVERET_SEED=${seed} LEVERET_ROUNDS=1: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    }
    for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += simulation.tally[key]
  }
  context.diagnostic(`seeds ${SEED} to ${SEED + ROUNDS - 1}: ${JSON.stringify(total)}`)
  assert.ok(total.crashes >= ROUNDS && total.acked > ROUNDS)
})
