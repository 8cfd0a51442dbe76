#!/usr/bin/env node
// In a clone the sources run as they are; the published package, which has no src/, brings them compiled.
//
// The clone is compiled into a cache before it starts rather than through a loader while it runs: a loader stays in
// the process with a thread of its own, and costs an idle server 35 MiB and every start 0.2 s (docs/decisions/0002).
import { existsSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'

let main = '../dist/src/main.js'
if (existsSync(new URL('../src/main.ts', import.meta.url))) {
  const { compiledSources } = await import('../scripts/compiled-sources.js')
  try {
    const folder = compiledSources(fileURLToPath(new URL('..', import.meta.url)))
    process.setSourceMapsEnabled(true)
    main = `${pathToFileURL(folder)}/src/main.js`
  } catch (error) {
    process.stderr.write(`leveret: ${error.message}\n`)
    process.exit(1)
  }
}
await import(main)
