/**
 * The syntax of NATS' configuration files: maps, arrays, words, numbers with a size behind them, variables, includes. No I/O of
 * its own. Source: the documentation of nats-server's configuration format.
 */
import { OptionMistake } from './option-mistake.js'
import { parseNatsSize } from './values.js'

export type ConfigValue = string | number | boolean | readonly ConfigValue[] | ConfigMap
export type ConfigMap = ReadonlyMap<string, ConfigValue>

export interface SyntaxSources {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The text of an included file; `path` is as written. Throws like readFileSync. */
  include(path: string): string
}

const INCLUDE_DEPTH_MAX = 10
const NEST_MAX = 64
/** Ends a word that is not quoted. */
const WORD_END = /[\s,;\]}]/
const ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', '"': '"', '\\': '\\' }

/** `name` is the file's, for mistakes. Throws OptionMistake, and what `include` throws. */
export function parseConfig(name: string, text: string, sources: SyntaxSources): ConfigMap {
  return new Parser(name, text, sources, [], 0).parse()
}

class Parser {
  readonly #name: string
  readonly #text: string
  readonly #sources: SyntaxSources
  /** The maps around the place that is being read, the outermost first: where variables are looked for. */
  readonly #scopes: Map<string, ConfigValue>[]
  readonly #depth: number
  #at = 0

  constructor(name: string, text: string, sources: SyntaxSources, scopes: Map<string, ConfigValue>[], depth: number) {
    this.#name = name
    this.#text = text
    this.#sources = sources
    this.#scopes = scopes
    this.#depth = depth
  }

  parse(): ConfigMap {
    const map = new Map<string, ConfigValue>()
    this.#entries(map, '')
    return map
  }

  /** What a variable of the environment says, read as a value would be. */
  parseValue(): ConfigValue {
    this.#skip()
    return this.#value()
  }

  /** Into `map`, up to `close`, or the end of the text if that is empty. */
  #entries(map: Map<string, ConfigValue>, close: string): void {
    if (this.#scopes.length >= NEST_MAX) throw this.#mistake('maps within too many others')
    this.#scopes.push(map)
    for (;;) {
      this.#skip(',;')
      if (this.#at >= this.#text.length) {
        if (close !== '') throw this.#mistake(`"${close}" is missing`)
        break
      }
      if (close !== '' && this.#peek() === close) {
        this.#at++
        break
      }
      const key = this.#key()
      if (key === 'include') this.#include(map)
      else map.set(key, this.#entry(key))
      this.#endOfEntry(close)
    }
    this.#scopes.pop()
  }

  #entry(key: string): ConfigValue {
    this.#blanks()
    if (this.#peek() === ':' || this.#peek() === '=') this.#at++
    this.#blanks()
    if (this.#at >= this.#text.length || this.#peek() === '\n') throw this.#mistake(`"${key}" has no value`)
    return this.#value()
  }

  /** An entry ends with its line, a comma, a semicolon, or what it is in. */
  #endOfEntry(close: string): void {
    this.#blanks()
    const next = this.#peek()
    if (next === '' || ',;\n'.includes(next) || next === close || this.#isComment()) return
    throw this.#mistake(`unexpected ${JSON.stringify(next)}`)
  }

  #key(): string {
    const quote = this.#peek()
    if (quote === '"' || quote === "'") return this.#quoted(quote)
    const start = this.#at
    while (this.#at < this.#text.length && !/[\s:={},;]/.test(this.#peek())) this.#at++
    if (this.#at === start) throw this.#mistake(`unexpected ${JSON.stringify(this.#peek())}`)
    return this.#text.slice(start, this.#at)
  }

  #value(): ConfigValue {
    switch (this.#peek()) {
      case '{': {
        this.#at++
        const map = new Map<string, ConfigValue>()
        this.#entries(map, '}')
        return map
      }
      case '[':
        this.#at++
        return this.#array()
      case '"':
      case "'":
        return this.#quoted(this.#peek())
      case '(':
        return this.#block()
      default:
        return this.#word()
    }
  }

  #array(): ConfigValue[] {
    const values: ConfigValue[] = []
    if (this.#scopes.length >= NEST_MAX) throw this.#mistake('arrays within too many others')
    // Only so that arrays in arrays count as depth.
    this.#scopes.push(new Map())
    for (;;) {
      this.#skip(',')
      if (this.#at >= this.#text.length) throw this.#mistake('"]" is missing')
      if (this.#peek() === ']') break
      values.push(this.#value())
    }
    this.#at++
    this.#scopes.pop()
    return values
  }

  #quoted(quote: string): string {
    this.#at++
    let text = ''
    for (;;) {
      const next = this.#peek()
      if (next === '' || next === '\n') throw this.#mistake(`a string without its end (${quote})`)
      this.#at++
      if (next === quote) return text
      // Between single quotes a backslash is a backslash.
      text += next === '\\' && quote === '"' ? this.#escape() : next
    }
  }

  #escape(): string {
    const letter = this.#peek()
    this.#at++
    if (letter === 'x') {
      const digits = this.#text.slice(this.#at, this.#at + 2)
      if (!/^[\da-f]{2}$/i.test(digits)) throw this.#mistake('"\\x" needs two hexadecimal digits')
      this.#at += 2
      return String.fromCharCode(Number.parseInt(digits, 16))
    }
    const escaped = ESCAPES[letter]
    if (escaped === undefined) throw this.#mistake(`"\\${letter}" is no escape`)
    return escaped
  }

  /** Lines between "(" and a line that begins with ")". */
  #block(): string {
    const end = /^[ \t]*\)/m.exec(this.#text.slice(this.#at))
    if (end === null) throw this.#mistake('")" is missing')
    const text = this.#text.slice(this.#at + 1, this.#at + end.index)
    this.#at += end.index + end[0].length
    return text.replace(/^[ \t]*\n/, '')
  }

  #word(): ConfigValue {
    const start = this.#at
    while (this.#at < this.#text.length && !WORD_END.test(this.#peek()) && !this.#isHash()) this.#at++
    const word = this.#text.slice(start, this.#at)
    if (word === '') throw this.#mistake(`unexpected ${JSON.stringify(this.#peek())}`)
    // A hashed password begins with a dollar as well.
    if (word.startsWith('$') && !word.startsWith('$2a$')) return this.#variable(word.slice(1))
    if (/^(true|yes|on)$/i.test(word)) return true
    if (/^(false|no|off)$/i.test(word)) return false
    if (/^-?\d+(\.\d+)?$/.test(word)) return Number(word)
    return parseNatsSize(word) ?? word
  }

  #variable(name: string): ConfigValue {
    for (const scope of this.#scopes.toReversed()) {
      const value = scope.get(name)
      if (value !== undefined) return value
    }
    const text = this.#sources.env[name]
    if (text === undefined) throw this.#mistake(`the variable "${name}" is nowhere set`)
    if (this.#depth >= INCLUDE_DEPTH_MAX) throw this.#mistake(`the variable "${name}" stands for itself`)
    return new Parser(`$${name}`, text, this.#sources, this.#scopes, this.#depth + 1).parseValue()
  }

  #include(map: Map<string, ConfigValue>): void {
    if (this.#depth >= INCLUDE_DEPTH_MAX) throw this.#mistake('files that include each other')
    const path = this.#entry('include')
    if (typeof path !== 'string') throw this.#mistake('"include" needs the name of a file')
    const text = this.#sources.include(path)
    const included = new Parser(path, text, this.#sources, this.#scopes, this.#depth + 1).parse()
    for (const [key, value] of included) map.set(key, value)
  }

  /** White space, comments, and the characters given. */
  #skip(also = ''): void {
    for (;;) {
      const next = this.#peek()
      if (next === '') return
      if (/\s/.test(next) || also.includes(next)) this.#at++
      else if (this.#isComment()) this.#toEndOfLine()
      else return
    }
  }

  #blanks(): void {
    while (this.#peek() === ' ' || this.#peek() === '\t' || this.#peek() === '\r') this.#at++
  }

  #toEndOfLine(): void {
    const end = this.#text.indexOf('\n', this.#at)
    this.#at = end < 0 ? this.#text.length : end
  }

  #isHash(): boolean {
    return this.#peek() === '#'
  }

  #isComment(): boolean {
    return this.#isHash() || this.#text.startsWith('//', this.#at)
  }

  #peek(): string {
    return this.#text[this.#at] ?? ''
  }

  #mistake(what: string): OptionMistake {
    const line = this.#text.slice(0, this.#at).split('\n').length
    return new OptionMistake(`${this.#name}: line ${line}: ${what}`)
  }
}
