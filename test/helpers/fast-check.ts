/** fast-check, whose properties go the way of `LEVERET_SEED` too, if there is one. It prints the seed of a failure. */
import process from 'node:process'
import fc from 'fast-check'

const seed = process.env['LEVERET_SEED']
if (seed !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(seed) })

export { fc }
