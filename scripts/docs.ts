/**
 * Writes the pages that are made from sources: `npm run docs`. test/scripts/printed-pages.test.ts fails while they
 * are out of date.
 */
import { writeFileSync } from 'node:fs'
import { METRICS_PAGE } from './metrics-page.js'
import { NATS_FLAGS_PAGE } from './nats-flags-page.js'
import { SETTINGS_PAGES } from './settings-pages.js'

for (const { path, text } of [...SETTINGS_PAGES, METRICS_PAGE, NATS_FLAGS_PAGE]) {
  writeFileSync(path, text)
  console.log(`wrote ${path}`)
}
