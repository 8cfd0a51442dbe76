/**
 * Collects test files and hands them to node's test runner (Node 20's `--test` knows no globs).
 * Called by the npm scripts `test`, `test:unit`, `test:system` and `test:peers`; words after `--` narrow the files by path.
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { chooseSuites, type Group } from './test-suites.js'

/** A file that has not ended after this long is killed and failed: an open handle costs one file, never the whole run. */
const FILE_TIMEOUT_MS = 180_000
/** Those that fetch and build programs in other languages first. */
const PEER_FILE_TIMEOUT_MS = 360_000
/** Node's own choice, a processor less than there are, leaves one of two idle: many suites wait for disks and for processes of their own. */
const FILES_AT_ONCE_MIN = 2

const GROUPS: Record<string, readonly Group[]> = {
  '--all': ['unit', 'system'],
  '--unit': ['unit'],
  '--system': ['system'],
  '--peers': ['peers'],
}

function main(words: readonly string[]): void {
  const groups = words.flatMap((word) => GROUPS[word] ?? [])
  const options = words.filter((word) => word.startsWith('--') && GROUPS[word] === undefined)
  const filters = words.filter((word) => !word.startsWith('--'))
  const paths = readdirSync('test', { recursive: true, encoding: 'utf8' }).map((path) => `test/${path}`)
  const { files, reason } = chooseSuites(paths, groups.length > 0 ? groups : ['unit', 'system'], filters)

  if (files.length === 0) {
    console.error(`no tests were run: ${reason}`)
    // A filter that matches nothing is a mistake; a group that has no suites yet is a fact to be told.
    process.exitCode = filters.length > 0 ? 1 : 0
    return
  }

  const filesAtOnce = Math.max(FILES_AT_ONCE_MIN, availableParallelism() - 1)
  const timeoutMs = groups.includes('peers') ? PEER_FILE_TIMEOUT_MS : FILE_TIMEOUT_MS
  const ours = [`--test-timeout=${timeoutMs}`, `--test-concurrency=${filesAtOnce}`]
  // It tells failures once more at the end, where they are found in a long log.
  if (!options.some((option) => option.startsWith('--test-reporter'))) ours.push('--test-reporter=spec')
  const runner = ['--import', 'tsx', '--test', ...ours, ...options, ...files]
  const child = spawn(process.execPath, runner, { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => child.kill(signal))
  child.on('exit', (code) => {
    process.exitCode = code ?? 1
  })
}

main(process.argv.slice(2))
