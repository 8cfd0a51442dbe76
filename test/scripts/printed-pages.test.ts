import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { METRICS_PAGE } from '../../scripts/metrics-page.js'
import { NATS_FLAGS_PAGE } from '../../scripts/nats-flags-page.js'
import { SETTINGS_PAGES } from '../../scripts/settings-pages.js'

for (const { path, text } of [...SETTINGS_PAGES, METRICS_PAGE, NATS_FLAGS_PAGE]) {
  test(`${path} says what the code says`, () => {
    assert.equal(readFileSync(path, 'utf8'), text, 'npm run docs writes it anew')
  })
}
