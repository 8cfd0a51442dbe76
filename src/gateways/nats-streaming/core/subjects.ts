/**
 * What a subject is: tokens separated by dots, `*` for any one token, `>` for one or more at the end. Pure.
 *
 * A subject is any bytes but white space. Here it is a string with one character a byte (latin1), so that nothing is lost on
 * the way and two different subjects are never one. Plain ASCII, which is what nearly all are, reads as it is.
 */

const DOT = 46
const STAR = 42
const REST = 62
/** Tokens of a subject with wildcards. Each costs a place in the index, and nobody has that many. */
export const PATTERN_TOKENS_MAX = 128

/** `empty`: a token is missing; `literal`: it stands for itself only; `pattern`: it has wildcards. */
export type SubjectKind = 'empty' | 'literal' | 'pattern'

/** `>` before the end is no subject; a wildcard inside of a longer token is a letter like others. */
export function subjectKind(subject: string): SubjectKind {
  const { length } = subject
  let isPattern = false
  let start = 0
  let tokens = 0
  for (let at = 0; at <= length; at++) {
    if (at < length && subject.charCodeAt(at) !== DOT) continue
    if (at === start) return 'empty'
    tokens++
    if (at - start === 1) {
      const only = subject.charCodeAt(start)
      if (only === REST && at < length) return 'empty'
      if (only === REST || only === STAR) isPattern = true
    }
    start = at + 1
  }
  if (!isPattern) return 'literal'
  return tokens > PATTERN_TOKENS_MAX ? 'empty' : 'pattern'
}

/** Whether a valid pattern or literal matches what was published. The index does the same for many at once. */
export function subjectMatches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.')
  const tokens = subject.split('.')
  if (tokens.includes('')) return false
  for (const [index, token] of wanted.entries()) {
    if (index >= tokens.length) return false
    if (token === '>' && index === wanted.length - 1) return true
    if (token !== '*' && token !== tokens[index]) return false
  }
  return wanted.length === tokens.length
}

/** Text that may have any characters, as a subject: what its UTF-8 bytes are on the wire. */
export function subjectFromText(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** The text that a subject was made from. */
export function textFromSubject(subject: string): string {
  return /^[\0-\x7f]*$/.test(subject) ? subject : Buffer.from(subject, 'latin1').toString('utf8')
}
