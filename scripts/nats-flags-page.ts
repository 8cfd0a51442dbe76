/**
 * The page docs/nats-streaming-flags.md as text, made from what reads the command line of nats-streaming-server. Pure, so that a test
 * can tell whether the file is current; scripts/docs.ts writes it.
 */
import { dashed, type Fate, type Parameter, type Section } from '../src/cli/nats-streaming/parameter.js'
import { PARAMETERS, REFUSED_BLOCKS } from '../src/cli/nats-streaming/parameters.js'

/** Section of the parameters, its title, and where its keys stand in a file. */
const SECTIONS: readonly (readonly [Section, string, string])[] = [
  ['streaming', 'Streaming server', '`streaming { ... }`'],
  [
    'limits',
    'Limits of the store',
    '`streaming { store_limits { ... } }`, also for single channels in `channels { ... }`',
  ],
  ['file', 'Store FILE', '`streaming { file { ... } }`'],
  ['nats', 'NATS server', 'the file itself'],
  ['sql', 'Store SQL', '`streaming { sql { ... } }`'],
  ['cluster', 'Clustering', '`streaming { cluster { ... } }`'],
  ['tls', 'Connections of the streaming server to others', '`streaming { tls { ... } }`'],
]

export const NATS_FLAGS_PAGE = { path: 'docs/nats-streaming-flags.md', text: page() }

function page(): string {
  const refused = Object.entries(REFUSED_BLOCKS).map(([name, reason]) => `| \`${name} { ... }\` | ${reason} |`)
  return `<!-- Printed by \`npm run docs\` from src/cli/nats-streaming/parameters.ts: change it there. -->
# Flags and keys of nats-streaming-server

Every flag of the original, with one dash or two, and every key of its configuration file (\`-sc\` or \`-c\`), with what it is for. What is
ignored is told at the start with its reason; what is refused keeps the server from starting. A flag that nobody knows ends it with 2, as it did.

${SECTIONS.map(section).join('\n')}
## Blocks that are refused

| block | why |
|---|---|
${refused.join('\n')}
`
}

function section([name, title, place]: readonly [Section, string, string]): string {
  const rows = PARAMETERS.filter((parameter) => parameter.section === name).map(row)
  return `## ${title}

Keys stand in ${place}.

| flag | key | value | |
|---|---|---|---|
${rows.join('\n')}
`
}

function row({ flags, keys, kind, fate }: Parameter): string {
  const shown = flags.map((flag) => `\`${dashed(flag)}\``).join(', ')
  return `| ${shown} | ${keys.map((key) => `\`${key}\``).join(', ')} | ${kind} | ${told(fate)} |`
}

function told(fate: Fate): string {
  if ('honoured' in fate) {
    return fate.butIgnored === undefined ? fate.honoured : `${fate.honoured}; ignored: ${fate.butIgnored}`
  }
  return 'ignored' in fate ? `ignored: ${fate.ignored}` : `**refused**: ${fate.refused}`
}
