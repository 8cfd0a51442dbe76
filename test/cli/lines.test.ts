import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LineSplitter } from '../../src/cli/lines.js'
import { fc } from '../helpers/fast-check.js'

const LIMIT = 1024

function linesOf(chunks: readonly Uint8Array[], limit = LIMIT): string[] {
  const splitter = new LineSplitter(limit)
  const lines = chunks.flatMap((chunk) => splitter.push(Buffer.from(chunk)))
  return [...lines, ...splitter.end()].map((line) => line.toString('latin1'))
}

test('cuts at newlines and keeps every other byte', () => {
  const cases: readonly (readonly [string, readonly string[]])[] = [
    ['a\nb\n', ['a', 'b']],
    ['a\nb', ['a', 'b']],
    ['\n\na\n', ['', '', 'a']],
    ['a\r\n\0\xff\n', ['a\r', '\0\xff']],
    ['', []],
  ]
  for (const [input, lines] of cases) {
    assert.deepEqual(linesOf([Buffer.from(input, 'latin1')]), lines, JSON.stringify(input))
  }
})

test('finds the same lines however the input is cut', () => {
  const arbByte = fc.oneof(fc.constant(0x0a), fc.nat(255))
  const arbChunks = fc.array(fc.array(arbByte, { maxLength: 20 }))
  fc.assert(
    fc.property(arbChunks, (chunks) => {
      const buffers = chunks.map((bytes) => Buffer.from(bytes))
      assert.deepEqual(linesOf(buffers), linesOf([Buffer.concat(buffers)]))
    }),
  )
})

test('refuses a line that grows beyond the limit', () => {
  assert.deepEqual(linesOf([Buffer.from('1234'), Buffer.from('5678\n')], 8), ['12345678'])
  assert.throws(() => linesOf([Buffer.from('1234'), Buffer.from('56789')], 8), { code: 'LVT_INVALID_ARGUMENT' })
})
