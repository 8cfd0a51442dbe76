import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bannedWords, longFiles, missingHeaders, wrongNames } from './text.js'

const lines = (count: number): string => 'x\n'.repeat(count)
const hits = (path: string, text: string): number => bannedWords([{ path, text }]).length

test('refuses more than 600 lines anywhere', () => {
  assert.deepEqual(longFiles([{ path: 'test/a.test.ts', text: lines(600) }]), [])
  assert.equal(longFiles([{ path: 'test/a.test.ts', text: lines(601) }]).length, 1)
})

test('asks a source above 400 lines for its reason', () => {
  const reason = '/**\n * A table.\n * Long because the table is one thing.\n */\n'
  assert.deepEqual(longFiles([{ path: 'src/a.ts', text: lines(400) }]), [])
  assert.equal(longFiles([{ path: 'src/a.ts', text: lines(401) }]).length, 1)
  assert.deepEqual(longFiles([{ path: 'src/a.ts', text: reason + lines(500) }]), [])
  assert.equal(longFiles([{ path: 'src/a.ts', text: lines(500) + reason }]).length, 1)
})

test('asks every source for a header', () => {
  const wanting = missingHeaders([
    { path: 'src/a.ts', text: '/** What it is for. */\nexport {}' },
    { path: 'src/main.ts', text: '#!/usr/bin/env node\n// What it is for.\nexport {}' },
    { path: 'src/b.ts', text: 'export {}\n/** Too late. */' },
    { path: 'client/c.ts', text: '/** */\nexport {}' },
    { path: 'test/d.test.ts', text: 'export {}' },
  ])
  assert.deepEqual(wanting, [
    'src/b.ts does not begin with a header comment',
    'client/c.ts does not begin with a header comment',
  ])
})

test('refuses names that are not kebab-case, or say nothing', () => {
  const names = (path: string): number => wrongNames([{ path, text: '' }]).length
  for (const path of ['src/broker/topic-ring.ts', 'test/e2e/serve.test.ts', 'src/session/subscription-manager.ts']) {
    assert.equal(names(path), 0, path)
  }
  for (const path of [
    'src/broker/topicRing.ts',
    'src/Broker/ring.ts',
    'src/common/utils.ts',
    'src/common/helpers.ts',
    'src/topic-manager.ts',
  ]) {
    assert.equal(names(path), 1, path)
  }
})

test('refuses any as a type, not as a name or in prose', () => {
  for (const text of ['let a: any', 'f<any>()', 'a as any', 'type A = any[]', '(a: any) => 1', 'Map<string, any>']) {
    assert.equal(hits('src/a.ts', text), 1, text)
  }
  for (const text of ['AbortSignal.any([a])', '// any', "'any'", 'const company = 1', 'f({ any: 1 })', 'a.any']) {
    assert.equal(hits('src/a.ts', text), 0, text)
  }
})

test('refuses silenced checks, leftovers and focused tests', () => {
  assert.equal(hits('test/a.test.ts', '// @ts-ignore'), 1)
  assert.equal(hits('test/a.test.ts', '// @ts-nocheck'), 1)
  assert.equal(hits('src/a.ts', '/* @ts-expect-error */'), 1)
  assert.equal(hits('test/a.test.ts', '// @ts-expect-error: a string is no offset'), 0)
  assert.equal(hits('src/a.ts', '// TODO: later'), 1)
  assert.equal(hits('src/a.ts', '/* FIXME */'), 1)
  assert.equal(hits('test/a.test.ts', "test.only('a', () => {})"), 1)
  assert.equal(hits('test/a.test.ts', "test('a', { only: true }, () => {})"), 1)
})

test('refuses time and chance outside their seams', () => {
  const samples = [
    'setTimeout(f, 1)',
    'setInterval(f, 1)',
    'Date.now()',
    'new Date()',
    'performance.now()',
    'process.hrtime.bigint()',
    'AbortSignal.timeout(5)',
    'Math.random()',
    'randomUUID()',
    "import { setTimeout as sleep } from 'node:timers/promises'",
  ]
  for (const text of samples) {
    assert.equal(hits('src/broker/a.ts', text), 1, text)
    assert.equal(hits('client/a.ts', text), 1, text)
    assert.equal(hits('src/common/clock.ts', text), 0, text)
    assert.equal(hits('bench/a.ts', text), 0, text)
  }
  assert.equal(hits('src/broker/a.ts', 'new Date(timestampMs)'), 0)
})

test('refuses output outside the command line', () => {
  for (const text of [
    "console.log('a')",
    "console['log']('a')",
    "process.stdout.write('a')",
    "process.stderr.write('a')",
  ]) {
    assert.equal(hits('src/broker/a.ts', text), 1, text)
    assert.equal(hits('src/cli/commands/pub.ts', text), 0, text)
    assert.equal(hits('src/main.ts', text), 0, text)
  }
})
