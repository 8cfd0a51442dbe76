/**
 * A command line by the rules of Go's flag package: `-x v`, `-x=v`, `--x v` and `--x=v` are the same, a bool takes a value only
 * behind `=`, and the first word that is no flag ends the flags.
 */
import { OptionMistake } from './option-mistake.js'
import type { Kind, Parameter } from './parameter.js'
import { parameterOfFlag } from './parameters.js'
import { parseGoDuration, parseNatsSize } from './values.js'

export type OptionValue = string | number | boolean | readonly string[]

export interface GivenFlag {
  readonly parameter: Parameter
  /** As it was written, without dashes. */
  readonly flag: string
  readonly value: OptionValue
}

const TRUE = /^(1|t|T|true|TRUE|True)$/
const FALSE = /^(0|f|F|false|FALSE|False)$/

/** Throws OptionMistake. */
export function parseFlags(words: readonly string[]): { flags: readonly GivenFlag[]; rest: readonly string[] } {
  const flags: GivenFlag[] = []
  let at = 0
  for (; at < words.length; at++) {
    const word = words[at] ?? ''
    if (!word.startsWith('-') || word === '-') break
    if (word === '--') {
      at++
      break
    }
    const match = /^--?([^-=][^=]*)(?:=([\s\S]*))?$/.exec(word)
    const flag = match?.[1] ?? ''
    const parameter = parameterOfFlag(flag)
    if (match === null) throw new OptionMistake(`bad flag syntax: ${word}`)
    if (parameter === null) throw new OptionMistake(`flag provided but not defined: -${flag}`)
    let text = match[2]
    if (text === undefined) {
      if (parameter.kind === 'bool') text = 'true'
      else {
        text = words[++at]
        if (text === undefined) throw new OptionMistake(`flag needs an argument: -${flag}`)
      }
    }
    flags.push({ parameter, flag, value: flagValue(flag, parameter.kind, text) })
  }
  return { flags, rest: words.slice(at) }
}

function flagValue(flag: string, kind: Kind, text: string): OptionValue {
  const invalid = (why: string): OptionMistake =>
    new OptionMistake(`invalid value ${JSON.stringify(text)} for flag -${flag}: ${why}`)
  switch (kind) {
    case 'string':
      return text
    case 'strings':
      return text.split(',').map((part) => part.trim())
    case 'bool':
      if (TRUE.test(text)) return true
      if (FALSE.test(text)) return false
      throw invalid('parse error')
    case 'int': {
      const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
      if (Number.isSafeInteger(value)) return value
      throw invalid('parse error')
    }
    case 'size': {
      const value = parseNatsSize(text)
      if (value !== null) return value
      throw new OptionMistake(`${flag} should be a size, got '${text}'`)
    }
    case 'duration': {
      const value = parseGoDuration(text)
      if (value !== null) return value
      throw invalid('parse error')
    }
  }
}
