/**
 * The seed of tests that take random ways: another one for each run, unless `LEVERET_SEED` repeats one. Such a test
 * prints it, or counts from it and prints what it came to.
 */
import process from 'node:process'

export const SEED = Number(process.env['LEVERET_SEED'] ?? Date.now() % 2 ** 31)
