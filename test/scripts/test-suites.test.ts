import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseSuites } from '../../scripts/test-suites.js'

const PATHS = [
  'test/protocol/codec.test.ts',
  'test/helpers/peer.ts',
  'test/e2e/serve.test.ts',
  'test/package.test.ts',
  'test/peers/nats.test.ts',
]

test('runs everything but the suites against peers', () => {
  const { files } = chooseSuites(PATHS, ['unit', 'system'], [])
  assert.deepEqual(files, ['test/e2e/serve.test.ts', 'test/package.test.ts', 'test/protocol/codec.test.ts'])
})

test('puts each suite into exactly one group', () => {
  assert.deepEqual(chooseSuites(PATHS, ['unit'], []).files, ['test/protocol/codec.test.ts'])
  assert.deepEqual(chooseSuites(PATHS, ['system'], []).files, ['test/e2e/serve.test.ts', 'test/package.test.ts'])
  assert.deepEqual(chooseSuites(PATHS, ['peers'], []).files, ['test/peers/nats.test.ts'])
})

test('narrows by any word in the path', () => {
  const { files } = chooseSuites(PATHS, ['unit', 'system'], ['codec', 'serve'])
  assert.deepEqual(files, ['test/e2e/serve.test.ts', 'test/protocol/codec.test.ts'])
})

test('says why nothing was chosen', () => {
  assert.match(chooseSuites(PATHS, ['unit'], ['nowhere']).reason, /no unit suite has nowhere in its path/)
  assert.match(chooseSuites([], ['peers'], []).reason, /there is no peers suite yet/)
})
