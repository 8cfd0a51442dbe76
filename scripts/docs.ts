/**
 * Writes the pages that are made from sources: `npm run docs`. test/scripts/settings-pages.test.ts fails while they
 * are out of date.
 */
import { writeFileSync } from 'node:fs'
import { SETTINGS_PAGES } from './settings-pages.js'

for (const { path, text } of SETTINGS_PAGES) {
  writeFileSync(path, text)
  console.log(`wrote ${path}`)
}
