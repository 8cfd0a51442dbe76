import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { SETTINGS_PAGES } from '../../scripts/settings-pages.js'

for (const { path, text } of SETTINGS_PAGES) {
  test(`${path} says what the table of settings says`, () => {
    assert.equal(readFileSync(path, 'utf8'), text, 'npm run docs writes it anew')
  })
}
