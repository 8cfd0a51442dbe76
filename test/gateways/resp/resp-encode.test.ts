import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, bulk, integer, map, nil, push, respError, simple } from '../../../src/gateways/resp/resp-encode.js'
import { fc } from '../../helpers/fast-check.js'
import { type RespValue, valueAt } from '../../helpers/resp-values.js'

function read(bytes: Buffer): RespValue {
  const found = valueAt(bytes, 0)
  assert.ok(found !== null && found.end === bytes.length, bytes.toString('latin1'))
  return found.value
}

const text = fc.string({ unit: 'grapheme', maxLength: 20 }).filter((value) => !/[\r\n]/.test(value))
const leaf: fc.Arbitrary<readonly [Buffer, RespValue]> = fc.oneof(
  text.map((value) => [simple(value), ['+', Buffer.from(value).toString('latin1')]] as const),
  text.map((value) => [respError(value), ['-', Buffer.from(value).toString('latin1')]] as const),
  text.map((value) => [bulk(value), ['$', Buffer.from(value).toString('latin1')]] as const),
  fc.uint8Array().map((value) => [bulk(value), ['$', Buffer.from(value).toString('latin1')]] as const),
  fc.maxSafeInteger().map((value) => [integer(value), [':', value]] as const),
  fc.constantFrom([nil(2), ['nil', '$-1']] as const, [nil(3), ['nil', '_']] as const),
)
const tree = fc.letrec<{ value: readonly [Buffer, RespValue] }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .array(tie('value'), { maxLength: 4 })
      .map((items) => [array(items.map(([bytes]) => bytes)), ['*', items.map(([, value]) => value)]] as const),
    fc.array(tie('value'), { maxLength: 4 }).map(
      (items) =>
        [
          push(
            3,
            items.map(([bytes]) => bytes),
          ),
          ['>', items.map(([, value]) => value)],
        ] as const,
    ),
  ),
}))

test('a client reads what was written', () => {
  fc.assert(fc.property(tree.value, ([bytes, value]) => assert.deepEqual(read(bytes), value)))
})

test('version 2 has no pushes, maps and nil of its own', () => {
  const pair = [bulk('a'), integer(1)] as const
  assert.equal(push(2, [bulk('a')]).toString('latin1'), '*1\r\n$1\r\na\r\n')
  assert.equal(push(3, [bulk('a')]).toString('latin1'), '>1\r\n$1\r\na\r\n')
  assert.equal(map(2, [pair]).toString('latin1'), '*2\r\n$1\r\na\r\n:1\r\n')
  assert.equal(map(3, [pair]).toString('latin1'), '%1\r\n$1\r\na\r\n:1\r\n')
  assert.equal(nil(2).toString('latin1'), '$-1\r\n')
  assert.equal(nil(3).toString('latin1'), '_\r\n')
})

test('an error is one line whatever its text', () => {
  assert.equal(respError('a\r\nb\nc').toString('latin1'), '-a b c\r\n')
})
