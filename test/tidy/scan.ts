/**
 * Reads TypeScript as text: tells code, comments and strings apart, and finds imports. The native compiler has no
 * interface to ask, and a rule about text needs no types. Knows nothing of any rule.
 */

export interface Source {
  /** Relative to the project, with `/`. */
  readonly path: string
  readonly text: string
}

/** All texts are as long as the source and keep its line breaks, so that an index means the same place in each. */
export interface Masks {
  /** Comments blanked, and what stands inside strings, templates and regular expressions. */
  readonly code: string
  /** Everything blanked but the comments. */
  readonly comments: string
}

export interface Import {
  readonly specifier: string
  readonly line: number
  /** `export ... from`, which hands names on. */
  readonly isReexport: boolean
}

/** A word or sign after which a slash begins a regular expression; after anything else it divides. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+*%<>~^-]|\b(?:return|typeof|case|of|in|await|yield|else))$/

const OPENERS = /\/\/|\/\*|['"`/{}]/g

export function maskOf(text: string): Masks {
  const code = text.split('')
  const comments = text.replace(/[^\n]/g, ' ').split('')
  /** Depth of braces at which each open `${` ends. */
  const holes: number[] = []
  let depth = 0
  let at = 0

  const blank = (from: number, to: number): void => {
    for (let index = from; index < to; index++) if (text[index] !== '\n') code[index] = ' '
  }
  const comment = (to: number): void => {
    for (let index = at; index < to; index++) comments[index] = text[index] as string
    blank(at, to)
    at = to
  }
  const template = (from: number): void => {
    const { end, isHole } = endOfTemplate(text, from)
    blank(from, isHole ? end - 2 : end - 1)
    if (isHole) holes.push(++depth)
    at = end
  }

  while (at < text.length) {
    OPENERS.lastIndex = at
    const opener = OPENERS.exec(text)
    if (opener === null) break
    at = opener.index
    const sign = opener[0]
    if (sign === '//') comment(after('\n', text, at))
    else if (sign === '/*') comment(after('*/', text, at + 2))
    else if (sign === '`') template(at + 1)
    else if (sign === '{') {
      depth += 1
      at += 1
    } else if (sign === '}') {
      const isHoleEnd = holes.at(-1) === depth
      depth -= 1
      if (isHoleEnd) {
        holes.pop()
        template(at + 1)
      } else at += 1
    } else if (
      sign !== '/' ||
      BEFORE_REGEX.test(
        code
          .slice(Math.max(0, at - 200), at)
          .join('')
          .trimEnd(),
      )
    ) {
      const end = sign === '/' ? endOfRegex(text, at + 1) : endOfString(text, at + 1, sign)
      blank(at + 1, end - 1)
      at = end
    } else at += 1
  }
  return { code: code.join(''), comments: comments.join('') }
}

/** Every static, dynamic and type import, and every re-export, in order of appearance. */
export function importsOf(source: Source): Import[] {
  const { code } = maskOf(source.text)
  const forms =
    /\bimport\s+[\w$*{},\s]+?\sfrom\s*(?=['"])|\bimport\s*\(?\s*(?=['"])|\bexport\s+(?:type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})\s*from\s*(?=['"])/g
  return Array.from(code.matchAll(forms), (form) => {
    const open = form.index + form[0].length
    const specifier = source.text.slice(open + 1, source.text.indexOf(source.text[open] as string, open + 1))
    return { specifier, line: lineOf(source.text, form.index), isReexport: form[0].startsWith('export') }
  })
}

/** Counted from 1. */
export function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length
}

/** The index after the mark, or the end of the text. */
function after(mark: string, text: string, from: number): number {
  const index = text.indexOf(mark, from)
  return index < 0 ? text.length : index + mark.length
}

function endOfString(text: string, from: number, quote: string): number {
  let at = from
  while (at < text.length && text[at] !== quote && text[at] !== '\n') at += text[at] === '\\' ? 2 : 1
  return Math.min(at + 1, text.length)
}

function endOfRegex(text: string, from: number): number {
  let at = from
  let isInClass = false
  while (at < text.length && text[at] !== '\n' && (isInClass || text[at] !== '/')) {
    if (text[at] === '[') isInClass = true
    if (text[at] === ']') isInClass = false
    at += text[at] === '\\' ? 2 : 1
  }
  return Math.min(at + 1, text.length)
}

/** The index after the closing backtick, or after the `${` of the next hole. */
function endOfTemplate(text: string, from: number): { end: number; isHole: boolean } {
  let at = from
  while (at < text.length) {
    if (text[at] === '`') return { end: at + 1, isHole: false }
    if (text.startsWith('${', at)) return { end: at + 2, isHole: true }
    at += text[at] === '\\' ? 2 : 1
  }
  return { end: text.length, isHole: false }
}
