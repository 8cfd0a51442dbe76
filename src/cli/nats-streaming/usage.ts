/** What `--help` of nats-streaming-server says: made of the table of parameters, so that no flag is missing. */
import { PARAMETERS, type Parameter, type Section } from './parameters.js'

const TITLES: readonly (readonly [Section, string])[] = [
  ['streaming', 'Streaming server'],
  ['limits', 'Limits of the store; 0 is no limit'],
  ['file', 'Store FILE'],
  ['nats', 'NATS server'],
  ['sql', 'Store SQL'],
  ['cluster', 'Clustering'],
  ['tls', 'Connections of the streaming server to others'],
]
const FLAG_COLUMNS = 44

export function usageText(): string {
  const lines = [
    'Usage: nats-streaming-server [options]',
    '',
    'Serves the clients of NATS Streaming and of NATS from leveret, under the flags and configuration files of the original.',
  ]
  for (const [section, title] of TITLES) {
    const flags = PARAMETERS.filter((parameter) => parameter.section === section && parameter.flags.length > 0)
    lines.push('', `${title}:`, ...flags.map(lineOf))
  }
  return `${lines.join('\n')}\n`
}

function lineOf({ flags, kind, fate }: Parameter): string {
  const shown = `    ${flags.map((flag) => (flag.length < 4 ? `-${flag}` : `--${flag}`)).join(', ')}${kind === 'bool' ? '' : ` <${kind}>`}`
  if (fate === 'honoured') return shown
  return `${shown.padEnd(FLAG_COLUMNS)} ${'ignored' in fate ? `(ignored: ${fate.ignored})` : `(refused: ${fate.refused})`}`
}
