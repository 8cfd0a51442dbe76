/**
 * Answers with a folder that holds the process of this clone as JavaScript, src/main.js: .cache/run/<hash of the sources>/, or one
 * in the temporary directory where the clone cannot be written to. Called by bin/leveret.js, plain JavaScript because
 * nothing has been compiled before it. Unchanged sources are compiled once; folders are never written to again, so any
 * number of processes may start at once.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'

const WEEK_MS = 7 * 86_400_000
const WRITABLE_BY_OTHERS = 0o022
const STICKY = 0o1000

/** Throws when a source does not parse (the compiler has printed where), or when there is no place to compile to. */
export function compiledSources(clone) {
  const root = resolve(clone)
  const files = ['client', 'src'].flatMap((folder) => sourcesIn(root, folder))
  const shared = join(root, '.cache', 'run')
  const name = hashOf(root, files)
  if (isComplete(join(shared, name))) return join(shared, name)

  const isShared = isWritable(shared)
  const cache = isShared ? shared : ownCache(shared)
  // There it meets other clones, and its links lead to this one.
  const target = join(cache, isShared ? name : `${name}-${digest(root)}`)
  if (isComplete(target)) return target
  removeOld(cache)
  const compiler = join(root, 'scripts', 'compile-sources.js')
  const { status } = spawnSync(process.execPath, [compiler, root, target], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) throw new Error('the sources could not be compiled; the lines above say why')
  return target
}

/** Folders appear whole, so one file stands for all; whoever cannot read it has to compile for himself. */
function isComplete(folder) {
  return isAllowed(join(folder, 'src', 'main.js'), constants.R_OK)
}

function isWritable(folder) {
  try {
    mkdirSync(folder, { recursive: true })
  } catch {
    return false
  }
  return isAllowed(folder, constants.W_OK)
}

function isAllowed(path, mode) {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

/** A folder in the temporary directory that nobody else can have put code into. */
function ownCache(shared) {
  const user = process.getuid?.()
  const cannot = `the sources are not compiled and ${shared} cannot be written to`
  if (user === undefined) throw new Error(cannot)
  const folder = join(tmpdir(), `leveret-${user}`)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw new Error(`${cannot}, nor can ${folder} (${error.code})`, { cause: error })
  }
  const place = statSync(tmpdir())
  const own = lstatSync(folder)
  const isExchangeable = (place.mode & WRITABLE_BY_OTHERS) !== 0 && (place.mode & STICKY) === 0
  if (isExchangeable || !own.isDirectory() || own.uid !== user || (own.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw new Error(`${cannot}, and ${folder} is not this user's alone`)
  }
  return folder
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

function digest(text) {
  return createHash('sha256').update(text).digest('hex').slice(0, 16)
}

/** Old folders belong to sources that have been edited since; a week leaves servers that still run from one alone. */
function removeOld(cache) {
  for (const name of readdirSync(cache)) {
    const folder = join(cache, name)
    const stat = statSync(folder, { throwIfNoEntry: false })
    if (stat === undefined || Date.now() - stat.mtimeMs <= WEEK_MS) continue
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch {
      // Another user's, who will remove it.
    }
  }
}
