import assert from 'node:assert/strict'
import { test } from 'node:test'
import { importsOf, maskOf } from './scan.js'

const codeOf = (text: string): string => maskOf(text).code

test('blanks what stands in comments, strings and regular expressions', () => {
  assert.equal(codeOf("a // any 'x"), 'a          ')
  assert.equal(codeOf('a /* any\n " */ b'), 'a       \n      b')
  assert.equal(codeOf('f(\'any\', "an\\"y")'), `f('   ', "     ")`)
  assert.equal(codeOf('x = /any["/]+/g.test(y)'), 'x = /        /g.test(y)')
})

test('divides where a slash divides', () => {
  assert.equal(codeOf("a / b + c['any'] / d"), "a / b + c['   '] / d")
  assert.equal(codeOf('(a) / b / any'), '(a) / b / any')
})

test('keeps the code in the holes of a template', () => {
  // The samples are joined from halves, so that no linter takes them for mistaken templates.
  const hole = (code: string): string => `\${${code}}`
  assert.equal(codeOf(`\`any ${hole('a')} any\``), `\`    ${hole('a')}    \``)
  assert.equal(
    codeOf(`\`${hole(`{ b: \`any ${hole('c')}\` }`)}any\` + d`),
    `\`${hole(`{ b: \`    ${hole('c')}\` }`)}   \` + d`,
  )
})

test('keeps comments at their place', () => {
  const text = "const a = '// no' // yes\nb"
  assert.equal(maskOf(text).comments, '                  // yes\n ')
})

test('ends with the text when a comment does not', () => {
  assert.equal(codeOf('a /* b'), 'a     ')
})

test('finds every form of import', () => {
  const text = [
    '/** import nothing from "./comment.js" */',
    "import a from './a.js'",
    "import type { B } from './b.js'",
    'import {',
    '  c,',
    '  type D,',
    "} from './c.js'",
    "import * as e from './e.js'",
    "import './f.js'",
    "const g = await import('./g.js')",
    "type H = import('./h.js').H",
    "export { i } from './i.js'",
    "export type * from './j.js'",
    'export const k = "import l from \'./l.js\'"',
    'export interface M {}',
    "import n, { o } from './n.js'",
  ].join('\n')
  const found = importsOf({ path: 'src/x.ts', text })
  assert.deepEqual(
    found.map(({ specifier, line }) => `${specifier} ${line}`),
    [
      './a.js 2',
      './b.js 3',
      './c.js 4',
      './e.js 8',
      './f.js 9',
      './g.js 10',
      './h.js 11',
      './i.js 12',
      './j.js 13',
      './n.js 16',
    ],
  )
  assert.deepEqual(
    found.filter(({ isReexport }) => isReexport).map(({ specifier }) => specifier),
    ['./i.js', './j.js'],
  )
})
