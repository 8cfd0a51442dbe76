/**
 * Rules about the text of one file: size, header, name, words that have no place. Pure: sources in, complaints out.
 * How long a function may be is Biome's to check (biome.json), since it parses.
 */
import { basename } from 'node:path/posix'
import { lineOf, maskOf, type Source } from './scan.js'

const LINES_MAX = 600
const LINES_WITHOUT_REASON = 400

/** A file between the two limits gives its reason in its header, after these words. */
const REASON = /Long because \S+/

/** The seams for time and chance: all other code is handed a Clock and a Random. */
const SEAMS = ['src/common/clock.ts', 'src/common/random.ts']

interface Ban {
  readonly what: string
  readonly pattern: RegExp
  readonly in: 'code' | 'comments'
  /** Everywhere when left out. */
  readonly appliesTo?: (path: string) => boolean
}

const BANS: readonly Ban[] = [
  { what: 'any as a type', in: 'code', pattern: /(?<![.\w$])any(?![\w$]|\s*[:(])/g },
  { what: '@ts-ignore or @ts-nocheck', in: 'comments', pattern: /@ts-(?:ignore|nocheck)\b/g },
  { what: '@ts-expect-error', in: 'comments', pattern: /@ts-expect-error\b/g, appliesTo: isProduct },
  { what: 'a leftover', in: 'comments', pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/g },
  { what: 'a focused test', in: 'code', pattern: /\b(?:test|it|describe|suite)\.only\b|\bonly: true\b/g },
  {
    what: 'time outside common/clock.ts',
    in: 'code',
    pattern:
      /\b(?:setTimeout|setInterval|Date\.now|performance\.now|process\.hrtime|AbortSignal\.timeout)\b|\bnew Date\(\)/g,
    appliesTo: isBehindSeams,
  },
  {
    what: 'chance outside common/random.ts',
    in: 'code',
    pattern: /\bMath\.random\b|\b(?:randomUUID|randomBytes|randomInt|getRandomValues)\b/g,
    appliesTo: isBehindSeams,
  },
  {
    what: 'console or a standard stream outside the command line',
    in: 'code',
    pattern: /\bconsole\b(?=\s*[.[])|\bprocess\.(?:stdout|stderr)\b/g,
    appliesTo: (path) => isProduct(path) && !path.startsWith('src/cli/') && path !== 'src/main.ts',
  },
]

export function longFiles(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const lines = source.text.trimEnd().split('\n').length
    if (lines > LINES_MAX) return [`${source.path} has ${lines} lines, and ${LINES_MAX} is the most`]
    if (lines <= LINES_WITHOUT_REASON || !isProduct(source.path) || REASON.test(headerOf(source))) return []
    return [`${source.path} has ${lines} lines: above ${LINES_WITHOUT_REASON} its header says "Long because ..."`]
  })
}

export function missingHeaders(sources: readonly Source[]): string[] {
  const bare = sources.filter((source) => isProduct(source.path) && !/[a-z]{3}/i.test(headerOf(source)))
  return bare.map(({ path }) => `${path} does not begin with a header comment`)
}

export function wrongNames(sources: readonly Source[]): string[] {
  return sources.flatMap(({ path }) => {
    const folders = path.split('/').slice(0, -1)
    const name = basename(path)
    const isKebab =
      /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.test)?\.ts$/.test(name) && folders.every((folder) => /^[a-z0-9-]+$/.test(folder))
    const complaints = isKebab ? [] : [`${path} is not in kebab-case`]
    if (/^(?:utils?|helpers?)\.ts$/.test(name)) complaints.push(`${path} says nothing about what is in it`)
    if (/manager/.test(name) && !/^subscription-manager(?:\.test)?\.ts$/.test(name)) {
      complaints.push(`${path} manages: say what it does instead`)
    }
    return complaints
  })
}

export function bannedWords(sources: readonly Source[]): string[] {
  return sources.flatMap((source) => {
    const masks = maskOf(source.text)
    return BANS.filter(({ appliesTo }) => appliesTo?.(source.path) ?? true).flatMap((ban) =>
      Array.from(masks[ban.in].matchAll(ban.pattern), (hit) => {
        return `${source.path}:${lineOf(source.text, hit.index)} ${ban.what}: ${hit[0]}`
      }),
    )
  })
}

/** The comment that a file begins with, after a `#!` line; empty when there is none. */
function headerOf(source: Source): string {
  const { code, comments } = maskOf(source.text.replace(/^#!.*/, ''))
  const firstCode = code.search(/\S/)
  return comments.slice(0, firstCode < 0 ? undefined : firstCode).split(/\n\s*\n/)[0] ?? ''
}

function isProduct(path: string): boolean {
  return path.startsWith('src/') || path.startsWith('client/')
}

function isBehindSeams(path: string): boolean {
  return isProduct(path) && !SEAMS.includes(path)
}
