/**
 * Compiles the files named on its command line into a folder that appears whole or not at all.
 * A process of its own, started by compiled-sources.js: what the compiler needs is given back when it ends.
 */
import { mkdtempSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { buildSync } from 'esbuild'

const [root, target, ...files] = process.argv.slice(2)

const draft = mkdtempSync(join(dirname(target), 'draft-'))
try {
  buildSync({
    absWorkingDir: root,
    entryPoints: files,
    outbase: root,
    outdir: draft,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'error',
  })
  renameSync(draft, target)
} catch (error) {
  rmSync(draft, { recursive: true, force: true })
  // Another process may have been faster: its folder holds the same. A compiler's message is already on the terminal.
  const isThere = statSync(target, { throwIfNoEntry: false }) !== undefined
  if (!isThere && !Array.isArray(error.errors)) throw error
  process.exitCode = isThere ? 0 : 1
}
