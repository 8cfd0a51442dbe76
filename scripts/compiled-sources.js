/**
 * Answers with a folder that holds src/ and client/ of this clone as JavaScript: .cache/run/<hash of the sources>/.
 * Called by bin/leveret.js, plain JavaScript because nothing has been compiled before it. Unchanged sources are
 * compiled once; folders are never written to again, so any number of processes may start at once.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

const WEEK_MS = 7 * 86_400_000

/** Throws when a source does not parse (the compiler has printed where), or when the clone cannot be written to. */
export function compiledSources(root) {
  const files = ['client', 'src'].flatMap((folder) => sourcesIn(root, folder))
  const cache = join(root, '.cache', 'run')
  const target = join(cache, hashOf(root, files))
  if (existsSync(target)) return target

  mkdirSync(cache, { recursive: true })
  removeOld(cache)
  const compiler = join(root, 'scripts', 'compile-sources.js')
  const { status } = spawnSync(process.execPath, [compiler, root, target, ...files], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error('the sources could not be compiled; the lines above say why')
  return target
}

function sourcesIn(root, folder) {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => join(folder, path))
    .sort()
}

function hashOf(root, files) {
  const hash = createHash('sha256')
  // The lock file stands for the compiler's version, the script for its options.
  for (const file of ['package-lock.json', 'tsconfig.json', 'scripts/compile-sources.js', ...files]) {
    hash.update(`\0${file}\0`).update(readFileSync(join(root, file)))
  }
  return hash.digest('hex').slice(0, 16)
}

/** Old folders belong to sources that have been edited since; a week leaves servers that still run from one alone. */
function removeOld(cache) {
  for (const name of readdirSync(cache)) {
    const folder = join(cache, name)
    const stat = statSync(folder, { throwIfNoEntry: false })
    if (stat !== undefined && Date.now() - stat.mtimeMs > WEEK_MS) rmSync(folder, { recursive: true, force: true })
  }
}
