/**
 * The house keeps its own rules: sizes, names, directions of imports, the seams for time and chance.
 * Each rule is shown to fire on a sample in test/tidy/*.test.ts; here it reads the project.
 */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { barrels, brokenImports, cycles, deadFiles, wrongDirections } from './tidy/imports.js'
import type { Source } from './tidy/scan.js'
import { bannedWords, longFiles, missingHeaders, wrongNames } from './tidy/text.js'

const FOLDERS = ['src', 'client', 'examples', 'bench', 'test', 'scripts']
const sources: readonly Source[] = FOLDERS.filter((folder) => existsSync(folder)).flatMap(sourcesIn)
const product = sources.filter(({ path }) => path.startsWith('src/') || path.startsWith('client/'))

function sourcesIn(folder: string): Source[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.includes('node_modules'))
    .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
    .sort()
    .map((path) => ({ path, text: readFileSync(path, 'utf8') }))
}

test('there are sources to read', () => {
  assert.ok(product.length > 0)
})

test('no file is longer than 600 lines, and one above 400 gives its reason', () => {
  assert.deepEqual(longFiles(sources), [])
})

test('every source begins with a header comment', () => {
  assert.deepEqual(missingHeaders(sources), [])
})

test('files and folders are named in kebab-case and by what they hold', () => {
  assert.deepEqual(wrongNames(sources), [])
})

test('imports point in one direction', () => {
  assert.deepEqual(wrongDirections(sources), [])
})

test('imports lead to files that exist', () => {
  assert.deepEqual(brokenImports(sources), [])
})

test('imports have no cycles', () => {
  assert.deepEqual(cycles(sources), [])
})

test('every source is reached from an entry', () => {
  assert.deepEqual(deadFiles(product), [])
})

test('names are handed on only by the two doors of the package', () => {
  assert.deepEqual(barrels(sources), [])
})

test('time, chance, output and types go through their places', () => {
  assert.deepEqual(bannedWords(sources), [])
})
