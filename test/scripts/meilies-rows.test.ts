import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const rows = readFileSync('docs/meilies-rows.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| '))
const NAMED = /`([\w/-]+\.test\.ts)`: ([^|;]+?)(?: \||;|, with the version)/g

test('every test that the rows of the MeiliES dialect name is there', () => {
  let named = 0
  for (const row of rows) {
    for (const [, file, name = ''] of row.matchAll(NAMED)) {
      named++
      const source = readFileSync(`test/${file}`, 'utf8').replaceAll("\\'", "'")
      assert.ok(source.includes(name), `test/${file} has no test "${name}"`)
    }
  }
  assert.ok(named > 40, `only ${named} tests are named`)
})

test('no row is missing, and none without a test goes unsaid', () => {
  const numbers = rows.flatMap((row) => /^\| M(\d+) \|.*\| (?:`|the same|-)/.exec(row)?.[1] ?? [])
  assert.deepEqual(
    numbers.map(Number),
    Array.from({ length: 44 }, (_, index) => index + 1),
  )
})
