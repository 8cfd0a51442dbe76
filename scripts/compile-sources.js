/**
 * Compiles the process, src/main.ts and all that it imports from here, into one file of a folder that appears whole or not at all: two
 * hundred files of their own would cost every start a tenth of a second and more.
 * A process of its own, started by compiled-sources.js: what the compiler needs is given back when it ends.
 */
import { randomUUID } from 'node:crypto'
import { mkdirSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { dirname, join, sep } from 'node:path'
import process from 'node:process'
import { buildSync } from 'esbuild'

const [root, target] = process.argv.slice(2)

// Not mkdtemp, which keeps other users out: what root has compiled is run by whom it serves.
const draft = join(dirname(target), `draft-${randomUUID()}`)
mkdirSync(draft)
try {
  buildSync({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    bundle: true,
    packages: 'external',
    outbase: root,
    outdir: draft,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'error',
  })
  // Outside of the clone modules find what they import through these.
  if (!target.startsWith(root + sep)) {
    for (const name of ['package.json', 'node_modules']) symlinkSync(join(root, name), join(draft, name))
  }
  renameSync(draft, target)
} catch (error) {
  rmSync(draft, { recursive: true, force: true })
  // Another process may have been faster: its folder holds the same. A compiler's message is already on the terminal.
  const isThere = statSync(target, { throwIfNoEntry: false }) !== undefined
  if (!isThere && !Array.isArray(error.errors)) throw error
  process.exitCode = isThere ? 0 : 1
}
