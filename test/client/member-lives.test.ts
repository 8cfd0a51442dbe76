/**
 * Groups through clients that come, go, lose their connections and die at random: nothing is passed over, what an ack said
 * to be safe never comes again, order holds in partitioned groups, and those who live always make progress.
 */
import { test } from 'node:test'
import { SeededRandom } from '../helpers/faulty-random.js'
import { MemberLives } from '../helpers/member-lives.js'
import { SEED as first } from '../helpers/seed.js'

const LIVES = 12 * Number(process.env['LEVERET_ROUNDS'] ?? 1)
const STEPS = 60

for (const mode of ['shared', 'partitioned'] as const) {
  test(`whatever becomes of the members of a ${mode} group, every record is dealt with`, async (context) => {
    for (let seed = first; seed < first + LIVES; seed++) {
      const lives = await MemberLives.begin(new SeededRandom(seed), mode)
      try {
        for (let step = 0; step < STEPS; step++) await lives.step()
        await lives.finish()
      } catch (error) {
        context.diagnostic(`seed ${seed}`)
        throw error
      } finally {
        await lives.stop()
      }
    }
  })
}
