/**
 * Which names a channel may have, and which patterns of names its limits may be set for.
 */
import { isInternalTopic } from '../../../model/topic.js'

/** A name that messages can be published to. Anything else may be in it: spaces, colons, any letter there is. */
export function isChannelName(name: string): boolean {
  return hasTokens(name) && !name.includes('*') && !name.includes('>') && !isInternalTopic(name)
}

/** A name, or one with `*` for any one token and `>` for all that follow. */
export function isChannelPattern(pattern: string): boolean {
  if (!hasTokens(pattern)) return false
  const tokens = pattern.split('.')
  return tokens.every((token, at) => {
    if (token === '*') return true
    if (token === '>') return at === tokens.length - 1
    return !token.includes('*') && !token.includes('>')
  })
}

/** Whether `pattern` speaks of `name`; a wildcard in `name` is a token like any other. */
export function matchesChannel(pattern: string, name: string): boolean {
  const tokens = name.split('.')
  const wanted = pattern.split('.')
  for (const [at, want] of wanted.entries()) {
    const token = tokens[at]
    if (token === undefined) return false
    if (want === '>') return true
    if (want !== '*' && want !== token) return false
  }
  return tokens.length === wanted.length
}

function hasTokens(name: string): boolean {
  return name !== '' && !name.includes('/') && !name.split('.').includes('')
}
