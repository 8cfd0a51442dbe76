/** What `--help` of nats-streaming-server says: made of the table of parameters, so that no flag is missing. */
import { dashed, type Group, type Parameter } from './parameter.js'
import { PARAMETERS } from './parameters.js'

const TITLES: readonly (readonly [Group, string])[] = [
  ['streaming', 'Streaming server'],
  ['limits', 'Limits of the store; 0 is no limit'],
  ['file', 'Store FILE'],
  ['sql', 'Store SQL'],
  ['cluster', 'Clustering'],
  ['tls', 'Connections of the streaming server to others'],
  ['nats', 'NATS server'],
  ['logging', 'Log'],
  ['common', 'Common'],
]
const INDENT = ' '.repeat(4)
/** Before what a flag is for. */
const FLAG_COLUMNS = 38
const LINE_COLUMNS = 120

export function usageText(): string {
  const lines = [
    'Usage: nats-streaming-server [options]',
    '',
    'Serves the clients of NATS Streaming and of NATS from leveret, under the flags and configuration files of the original.',
    'Times are written as 30s or 1h30m, sizes as 64KB or 1GB.',
  ]
  for (const [group, title] of TITLES) {
    const parameters = PARAMETERS.filter((parameter) => parameter.group === group && parameter.flags.length > 0)
    lines.push('', `${title}:`)
    for (const { flags, kind, fate } of parameters) {
      if (!('honoured' in fate)) continue
      const shown = `${INDENT}${flags.map(dashed).join(', ')}${kind === 'bool' ? '' : ` <${kind}>`}`
      lines.push(`${shown.padEnd(FLAG_COLUMNS)} ${fate.honoured}`)
    }
    lines.push(...listed('ignored', parameters), ...listed('refused', parameters))
  }
  lines.push(
    '',
    'Why a flag is ignored is told at the start, and why one is refused as well; docs/nats-streaming-flags.md has it all.',
  )
  return `${lines.join('\n')}\n`
}

/** By their names alone. */
function listed(fate: 'ignored' | 'refused', parameters: readonly Parameter[]): readonly string[] {
  const words = parameters.filter((parameter) => fate in parameter.fate).map(({ flags }) => flags.map(dashed).join('/'))
  if (words.length === 0) return []
  const lines: string[] = []
  let line = `${INDENT}${fate}:`
  for (const word of words) {
    if (line.length + 1 + word.length > LINE_COLUMNS) {
      lines.push(line)
      line = `${INDENT}${' '.repeat(fate.length + 1)}`
    }
    line += ` ${word}`
  }
  return [...lines, line]
}
