import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

const page = readFileSync('docs/nats-streaming-rows.md', 'utf8')
const rows = page.split('\n').filter((line) => /^\| .* \| (passed|not applicable|open) \| /.test(line))

test('every test that the rows of NATS Streaming name is there', () => {
  let named = 0
  for (const row of rows) {
    const where = /\| passed \| (.+) \|$/.exec(row)?.[1] ?? ''
    for (const place of where.split(/; (?=`)/)) {
      const [, file, name = ''] = /^`([\w/-]+\.test\.ts)`: (.+)$/.exec(place) ?? []
      if (file === undefined) continue
      named++
      assert.ok(readFileSync(`test/${file}`, 'utf8').includes(name), `test/${file} has no test "${name}"`)
    }
  }
  assert.ok(named > 120, `only ${named} tests are named`)
})

test('a row without a test says why', () => {
  for (const row of rows) assert.match(row, / \| (passed \| `|(not applicable|open) \| \S)/)
})

test('the sums are those of the rows, on both pages', () => {
  const sums = page.split('\n').filter((line) => /^\| 9\.\d+ /.test(line))
  assert.equal(sums.length, 10)
  for (const sum of sums) {
    const [total = 0, ...parts] = sum
      .split(' | ')
      .slice(1)
      .map((text) => Number.parseInt(text, 10))
    assert.equal(
      parts.reduce((all, part) => all + part, 0),
      total,
      sum,
    )
    const section = /^\| (.*?) \| /.exec(sum)?.[1] ?? ''
    const text = page.split(`\n## ${section}\n`)[1]?.split('\n## ')[0] ?? ''
    assert.equal(/ \| open \| /.test(text), (parts[2] ?? 0) > 0, `${section}: open`)
    assert.ok(
      readFileSync('docs/nats-streaming.md', 'utf8').includes(sum),
      `docs/nats-streaming.md has other sums of ${section}`,
    )
  }
})
