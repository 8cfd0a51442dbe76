/**
 * Inline commands: a line of words as people type it into telnet, with quotes as redis-cli has them.
 *
 *   line = word { space word }     word = plain | "text with \n \r \t \b \a \\ \" \xHH" | 'text with \''
 */
import { RespFault } from './resp-fault.js'

const QUOTE = /["']/
const ESCAPES: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, b: 8, a: 7 }
const HTTP = / HTTP\/\d\.\d$/

/** Words of a line without its end, as bytes. Throws RespFault. */
export function splitInline(line: Buffer): Buffer[] {
  // Latin-1 keeps each byte as it is; the words become bytes again.
  const text = line.toString('latin1')
  if (HTTP.test(text)) throw new RespFault('http', 'this port does not speak HTTP')
  if (!QUOTE.test(text)) {
    const words = text.split(/[ \t]+/).filter((word) => word !== '')
    return words.map((word) => Buffer.from(word, 'latin1'))
  }
  return splitQuoted(text)
}

function splitQuoted(text: string): Buffer[] {
  const words: Buffer[] = []
  let at = 0
  for (;;) {
    while (isSpace(text[at])) at++
    if (at >= text.length) return words
    const word: number[] = []
    while (at < text.length && !isSpace(text[at])) {
      const sign = text[at] as string
      if (sign === '"' || sign === "'") {
        at = takeQuoted(text, at, word)
        if (at < text.length && !isSpace(text[at])) throw new RespFault('quotes', 'a closing quote ends a word')
      } else {
        word.push(text.charCodeAt(at))
        at++
      }
    }
    words.push(Buffer.from(word))
  }
}

/** Take what stands in the quotes that begin at `at`; returns the place behind them. */
function takeQuoted(text: string, at: number, word: number[]): number {
  const quote = text[at]
  let from = at + 1
  for (; from < text.length; from++) {
    const sign = text[from] as string
    if (sign === quote) return from + 1
    if (sign !== '\\' || from + 1 >= text.length) {
      word.push(text.charCodeAt(from))
      continue
    }
    const hex = /^\\x([0-9a-f]{2})/i.exec(text.slice(from, from + 4))
    const next = text[from + 1] as string
    if (quote === "'") {
      if (next === "'") from++
      word.push(text.charCodeAt(from))
    } else if (hex !== null) {
      word.push(Number.parseInt(hex[1] as string, 16))
      from += 3
    } else {
      word.push(ESCAPES[next] ?? next.charCodeAt(0))
      from++
    }
  }
  throw new RespFault('quotes', 'a quote is not closed')
}

function isSpace(sign: string | undefined): boolean {
  return sign === ' ' || sign === '\t'
}
