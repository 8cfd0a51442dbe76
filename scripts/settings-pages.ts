/**
 * The pages docs/configuration.md and docs/limits.md as text, made from the table of settings. Pure, so that a test
 * can tell whether the files are current; scripts/docs.ts writes them.
 */
import { CONFIG_FILE, CONFIG_KEYS, type ConfigKey, envOf, flagOf, SETTINGS } from '../src/config/schema.js'
import { formatDuration, formatSize } from '../src/config/units.js'
import { PARTITIONS_MAX, RING_BYTES_MAX, RING_RECORDS_MAX, TOPIC_NAME_BYTES_MAX } from '../src/model/topic.js'
import { NAME_LENGTH_MAX } from '../src/storage/local/local-groups.js'
import { PARTITIONED } from '../src/storage/local/positioned-group.js'

const PRINTED = '<!-- Printed by `npm run docs` from src/config/schema.ts: change it there. -->'

export const SETTINGS_PAGES: readonly { readonly path: string; readonly text: string }[] = [
  { path: 'docs/configuration.md', text: configurationPage() },
  { path: 'docs/limits.md', text: limitsPage() },
]

function configurationPage(): string {
  const settings = CONFIG_KEYS.filter((key) => SETTINGS[key].atLimit === undefined)
  return `${PRINTED}
# Configuration

A setting has one name in three spellings: a key of the configuration file, an environment variable, and a flag of
\`leveret serve\`. A flag wins over the variable, and the variable over the file; whatever is left has its default. Embedded, the
same keys are options of \`createBroker()\`, with sizes in bytes and times in milliseconds.

The server checks all of them before it opens anything. A key of the file or a flag that does not exist, and a value out of
its range, keep it from starting, and it lists every mistake at once. An empty variable counts as absent, and a variable
that no setting has is left alone, since other programs name theirs after a service too.

Sizes read \`64KiB\`, \`8MiB\`; durations read \`500ms\`, \`10s\`, \`5m\`, \`1h\`, \`7d\`, in the file also as a bare number of bytes or
milliseconds.

## Settings

| key | flag | variable | default | range | |
|---|---|---|---|---|---|
${settings.map(settingRow).join('\n')}
| | \`--${CONFIG_FILE.flag}\` | \`${CONFIG_FILE.env}\` | - | | ${CONFIG_FILE.doc} |
| | | \`DEBUG\` | - | | \`leveret:*\` logs the path of every frame to standard error. |

The limits, which are settings like these, are on [a page of their own](limits.md).

## An example

\`\`\`json
{
  "port": 9001,
  "defaultRetention": "1h",
  "maxFrameBytes": "16MiB",
  "drainMs": "30s"
}
\`\`\`

\`leveret serve --config leveret.json\` reads it.
`
}

function limitsPage(): string {
  const limits = CONFIG_KEYS.filter((key) => SETTINGS[key].atLimit !== undefined)
  return `${PRINTED}
# Limits

Every queue, map, frame and wait of the server has a maximum, and each can be set: by its key, by its flag, by its variable
([how](configuration.md)). What happens at the limit is part of the promise, and stands beside it.

${limits.map(limitSection).join('\n')}
## What cannot be set

| | at most | beyond it |
|---|---|---|
| name of a topic | ${TOPIC_NAME_BYTES_MAX} bytes of UTF-8, none of them a control character | \`LVT_INVALID_ARGUMENT\` |
| partitions of a topic | ${PARTITIONS_MAX} | \`LVT_INVALID_ARGUMENT\` |
| name of a group | ${NAME_LENGTH_MAX} characters | \`LVT_INVALID_ARGUMENT\` |
| members of a partitioned group | ${PARTITIONED.membersMax} | \`LVT_GROUP_IN_USE\`; of a named cursor it is one member |
| time in which a member lets go of a partition that another one is to get | ${formatDuration(PARTITIONED.revokeWaitMs)} | the other one gets it, and commits of the first are \`LVT_FENCED\` |
| ring of a topic | ${formatSize(RING_BYTES_MAX)} and ${RING_RECORDS_MAX} records | \`LVT_INVALID_ARGUMENT\` |
`
}

function settingRow(key: ConfigKey): string {
  const cells = [
    `\`${key}\``,
    `\`--${flagOf(key)}\``,
    `\`${envOf(key)}\``,
    defaultOf(key),
    rangeOf(key),
    SETTINGS[key].doc,
  ]
  return `| ${cells.join(' | ')} |`
}

function limitSection(key: ConfigKey): string {
  const setting = SETTINGS[key]
  return `## \`${key}\`

${setting.doc} Default ${defaultOf(key)}, range ${rangeOf(key)}; \`--${flagOf(key)}\`, \`${envOf(key)}\`.

At the limit: ${setting.atLimit}
`
}

function defaultOf(key: ConfigKey): string {
  const setting = SETTINGS[key]
  if (setting.type === 'bytes') return `\`${formatSize(setting.default)}\``
  if (setting.type === 'duration') return `\`${formatDuration(setting.default)}\``
  if (setting.type === 'listener') return '`off`'
  return `\`${String(setting.default)}\``
}

function rangeOf(key: ConfigKey): string {
  const setting = SETTINGS[key]
  switch (setting.type) {
    case 'count':
      return `${setting.min} to ${setting.max}`
    case 'bytes':
      return `${formatSize(setting.min)} to ${formatSize(setting.max)}`
    case 'duration':
      return `${formatDuration(setting.min)} to ${formatDuration(setting.max)}`
    case 'choice':
      return setting.choices.map((choice) => `\`${choice}\``).join(', ')
    case 'listener':
      return `\`off\`, \`on\` (${setting.port}), or a port`
    case 'switch':
      return '`true`, `false`'
    default:
      return ''
  }
}
