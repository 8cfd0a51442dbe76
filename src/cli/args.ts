/**
 * The command line: subcommands, flags, help, and what an exit code means (0 done, 1 failed, 2 not understood).
 * The flags of `serve` come from the table of settings. Called by main.ts; the work is in commands/.
 */
import { createRequire } from 'node:module'
import { Command, CommanderError, Option } from 'commander'
import type { From } from '../../client/index.js'
import { ConfigError, LeveretError } from '../common/errors.js'
import { CONFIG_FILE, CONFIG_KEYS, type ConfigKey, envOf, flagOf, SETTINGS, type Setting } from '../config/schema.js'
import { formatDuration, formatSize } from '../config/units.js'
import { DURABILITIES } from '../model/topic.js'
import { type CheckOptions, check } from './commands/check.js'
import { type FlokiOptions, floki } from './commands/floki.js'
import { type FlokiImportOptions, flokiImport } from './commands/floki-import.js'
import {
  deleteGroup,
  describeGroup,
  listGroups,
  pauseGroup,
  resumeGroup,
  type SeekGroupOptions,
  seekGroup,
} from './commands/groups.js'
import { type PubOptions, pub } from './commands/pub.js'
import { serve } from './commands/serve.js'
import { type SubOptions, sub } from './commands/sub.js'
import { type CreateOptions, createTopic, describeTopic, listTopics } from './commands/topics.js'
import { addMeiliesCommands } from './meilies-arguments.js'
import { natsStreamingServer } from './nats-streaming/nats-streaming-server.js'
import type { ClientOptions } from './open-client.js'
import { isSystemError, systemErrorText } from './system-errors.js'
import { EXIT_FAILURE, EXIT_OK, EXIT_USAGE, say, type Terminal } from './terminal.js'
import { readAge, readCount, readOffset, readPort, readRetention, readSize, readStart } from './values.js'

const DEFAULT_PORT = 8889
const NATS_STREAMING_SERVER = 'nats-streaming-server'

/** Run one command line, without the words for node and script, and answer with its exit code. */
export async function runCommandLine(words: readonly string[], terminal: Terminal): Promise<number> {
  // Its flags are not ours, and no word of them may be taken for one of ours.
  const [command, ...others] = words
  if (command === NATS_STREAMING_SERVER) return await natsStreamingServer(others, terminal, version())
  let exitCode: number = EXIT_OK
  const finish = async (command: Promise<number>): Promise<void> => {
    exitCode = await command
  }
  const program = programFor(terminal, finish)
  try {
    await program.parseAsync(words, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_OK : EXIT_USAGE
    return report(error, terminal)
  }
}

type Finish = (command: Promise<number>) => Promise<void>

function programFor(terminal: Terminal, finish: Finish): Command {
  const program = new Command('leveret')
    .description('A topic broker in one process: start it, publish records to topics, and read them back.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showHelpAfterError('(leveret --help tells more)')
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      getOutHelpWidth: () => terminal.stderr.columns ?? 100,
      getErrHelpWidth: () => terminal.stderr.columns ?? 100,
      outputError: (text, write) => write(text.replace(/^error: /, 'leveret: ')),
    })
    .exitOverride()
  addServe(program, terminal, finish)
  addPub(program, terminal, finish)
  addSub(program, terminal, finish)
  addTopics(program, terminal, finish)
  addGroups(program, terminal, finish)
  addCheck(program, terminal, finish)
  addMeiliesCommands(program, terminal, finish)
  addFloki(program, terminal, finish)
  // For the list of commands; whoever says it is answered before this.
  program
    .command(NATS_STREAMING_SERVER)
    .description("start as NATS Streaming's server is started, with its flags and files")
  program.addHelpText(
    'after',
    '\nExamples:\n  leveret serve\n  leveret topics create orders --retain 1h\n  echo hello | leveret pub orders' +
      '\n  leveret sub orders --from earliest --count 1',
  )
  return program
}

function addServe(program: Command, terminal: Terminal, finish: Finish): void {
  const command = program
    .command('serve')
    .description('run the broker until SIGINT or SIGTERM; it then drains and ends')
    .addHelpText('after', '\nA flag wins over its environment variable, and that over the file of --config.')
  const keys = new Map<string, ConfigKey>()
  for (const key of CONFIG_KEYS) {
    const option = optionOf(key)
    keys.set(option.attributeName(), key)
    command.addOption(option)
  }
  const file = new Option(`--${CONFIG_FILE.flag} <file>`, `${CONFIG_FILE.doc} (env: ${CONFIG_FILE.env})`)
  command.addOption(file.helpGroup('Options:'))
  command.action((given: Record<string, unknown>) => {
    const flags = Object.fromEntries(Object.entries(given).map(([name, value]) => [keys.get(name) ?? name, value]))
    return finish(serve(flags, terminal))
  })
}

/** Values stay text here: load.ts reads and checks them, whichever source they come from. */
function optionOf(key: ConfigKey): Option {
  const setting = SETTINGS[key]
  const value = argumentOf(setting.type)
  const doc = `${setting.doc.replaceAll('`', '')} (default: ${shownDefault(key)}; env: ${envOf(key)})`
  return new Option(`--${flagOf(key)}${value}`, doc).helpGroup(setting.atLimit === undefined ? 'Options:' : 'Limits:')
}

function argumentOf(type: Setting['type']): string {
  if (type === 'listener') return ' [port]'
  return type === 'switch' ? '' : ` <${type}>`
}

function shownDefault(key: ConfigKey): string {
  const setting = SETTINGS[key]
  if (setting.type === 'bytes') return formatSize(setting.default)
  if (setting.type === 'duration') return formatDuration(setting.default)
  return setting.type === 'listener' ? `off, ${setting.port} without a port` : String(setting.default)
}

function addPub(program: Command, terminal: Terminal, finish: Finish): void {
  const command = program
    .command('pub')
    .argument('<topic>', 'is created if it does not exist')
    .description('publish standard input, one record a line; the whole line is the payload, byte for byte')
    .option('--ndjson', 'every line must be a JSON value; empty lines are skipped')
    .option('--key <field>', 'with --ndjson: the field of each line that is the key of its record')
    .addOption(new Option('--durability <level>', 'what an acknowledgement waits for').choices(DURABILITIES))
    .addHelpText('after', '\nEnds with 0 when every record was acknowledged, stored or recognised as a duplicate.')
  command.action((topic: string, options: PubOptions) => {
    if (options.key !== undefined && options.ndjson !== true) command.error('error: --key needs --ndjson')
    return finish(pub(topic, options, terminal))
  })
  addClientOptions(command, terminal, 'print the summary as JSON')
}

function addSub(program: Command, terminal: Terminal, finish: Finish): void {
  const command = program
    .command('sub')
    .argument('<topic>', 'is created if it does not exist')
    .description('print the payloads of a topic, one a line, until interrupted or told to end')
    .option(
      '--from <place>',
      'earliest, latest, last (the newest record, then live ones), an offset, a time like 2026-01-31T12:00:00Z, ' +
        'or an age like 10m (default: earliest)',
      readStart,
    )
    .option('--until <offset>', 'end before this offset of each partition', readOffset)
    .option('--count <records>', 'end after so many records', readCount)
    .option('--group <name>', 'take part in a group, which shares the records of the topic out among its members')
    .addOption(
      new Option(
        '--mode <mode>',
        'with --group: record by record, or partition by partition (default: shared)',
      ).choices(['shared', 'partitioned']),
    )
    .option('--name <name>', 'keep the position under this name, and go on there the next time')
    .option('--take-over', 'with --name: send away whoever else reads under it')
    .addHelpText(
      'after',
      '\nA group, or a name, is told that records are done with once they are printed, and goes on with the others.' +
        '\nWhere it begins --from says the first time only; `leveret groups seek` moves it.',
    )
  command.action((topic: string, options: SubOptions) => {
    if (options.mode !== undefined && options.group === undefined) command.error('error: --mode needs --group')
    if (options.takeOver === true && options.name === undefined) command.error('error: --take-over needs --name')
    if (options.name !== undefined && options.group !== undefined) {
      command.error('error: --name is for whoever reads alone, and a group has a name of its own')
    }
    if (options.until !== undefined && options.group !== undefined) {
      command.error('error: --until is for whoever reads alone, and a group has members')
    }
    return finish(sub(topic, options, terminal))
  })
  addClientOptions(command, terminal, 'print each record whole, as one line of JSON')
}

function addTopics(program: Command, terminal: Terminal, finish: Finish): void {
  const topics = program.command('topics').description('list, create and describe topics')

  const list = topics.command('list').description('print the names of all topics')
  list.action((options: ClientOptions) => finish(listTopics(options, terminal)))
  addClientOptions(list, terminal, 'print an array')

  const create = topics
    .command('create')
    .argument('<topic>')
    .description('create a topic; fails if it exists with other settings')
    .option('--retain <age>', 'keep records so long: an age like 1h, forever, or none', readRetention)
    .option('--retain-bytes <size>', 'keep the newest records up to this size', readSize)
    .option('--retain-records <count>', 'keep so many of the newest records', readCount)
    .option('--compact <age>', 'drop a record whose key was accepted less than this ago', readAge)
    .option('--keep-latest', 'let go of all but the newest record of each key, in time')
    .option('--partitions <count>', 'split the topic; order is kept within a partition', readCount)
  create.action((topic: string, options: CreateOptions) => finish(createTopic(topic, options, terminal)))
  addClientOptions(create, terminal, 'print the topic as JSON')

  const describe = topics
    .command('describe')
    .argument('<topic>')
    .description('print the settings and the state of a topic')
  describe.action((topic: string, options: ClientOptions) => finish(describeTopic(topic, options, terminal)))
  addClientOptions(describe, terminal, 'print the topic as JSON')
}

function addGroups(program: Command, terminal: Terminal, finish: Finish): void {
  const groups = program
    .command('groups')
    .description('list, describe, move, pause and delete groups and named cursors')

  const list = groups
    .command('list')
    .argument('[topic]', 'all topics unless given')
    .description('print the groups of a topic, and how far each of them is behind')
  list.action((topic: string | undefined, options: ClientOptions) => finish(listGroups(topic, options, terminal)))
  addClientOptions(list, terminal, 'print an array')

  const command = (name: string, description: string): Command =>
    groups.command(name).argument('<topic>').argument('<group>').description(description)
  const json = 'print the group as JSON'

  const describe = command('describe', 'print the members, positions and counts of a group')
  describe.action((topic: string, group: string, options: ClientOptions) =>
    finish(describeGroup(topic, group, options, terminal)),
  )
  addClientOptions(describe, terminal, json)

  const seek = command('seek', 'let a group go on elsewhere; what is in flight counts no more')
    .argument('<place>', 'earliest, latest, an offset, a time like 2026-01-31T12:00:00Z, or an age like 10m', readStart)
    .option('--partition <number>', 'only there (default: in all partitions)', readOffset)
  seek.action((topic: string, group: string, from: From, options: SeekGroupOptions) =>
    finish(seekGroup(topic, group, from, options, terminal)),
  )
  addClientOptions(seek, terminal, json)

  const others = [
    ['pause', 'let a shared group give nothing out until it is resumed', pauseGroup],
    ['resume', 'let a paused group go on', resumeGroup],
    ['delete', 'forget how far a group has come; its members are ended, the records stay', deleteGroup],
  ] as const
  for (const [name, description, work] of others) {
    const other = command(name, description)
    other.action((topic: string, group: string, options: ClientOptions) =>
      finish(work(topic, group, options, terminal)),
    )
    addClientOptions(other, terminal, json)
  }
}

function addCheck(program: Command, terminal: Terminal, finish: Finish): void {
  const command = program
    .command('check')
    .argument('<data>', 'a data directory that no server is using')
    .description('verify every byte of a data directory, and change nothing')
    .option(
      '--repair',
      'cut unfinished writes, rebuild indexes, restore a copy of the catalog; damage stays where it is',
    )
    .option('--json', 'print what was found as one JSON document')
    .option('--encryption-key-file <file>', 'keys of encrypted data (env: LEVERET_ENCRYPTION_KEYS, or this one)')
    .option(`--${CONFIG_FILE.flag} <file>`, 'the settings of the server, for its keys')
    .addHelpText(
      'after',
      '\nEnds with 0 if the data is sound, 1 if something is damaged or can be repaired, 2 if nothing can be said.' +
        '\nWithout its keys encrypted data is verified by its checksums alone.',
    )
  command.action((data: string, options: CheckOptions) => finish(check(data, options, terminal)))
}

function addFloki(program: Command, terminal: Terminal, finish: Finish): void {
  const command = program
    .command('floki')
    .argument('[file]', "Floki's own settings; floki.toml of the working directory unless given, which may be missing")
    .description("run as Floki's own server does: its file of settings, its port, and nothing but its dialect")
    .option('--insecure', 'listen on an address that others can reach, although anybody there may read and write')
    .addHelpText('after', '\nAll other settings come from the environment, as for `leveret serve`.')
  command.action((file: string | undefined, options: FlokiOptions) => finish(floki(file, options, terminal)))

  const bring = program
    .command('floki-import')
    .argument('<source>', "a data directory of Floki's own server, which is not running; nothing in it is changed")
    .requiredOption('--data <folder>', 'data directory of leveret that no server is using, made if it is missing')
    .option('--options <file>', 'the floki.toml that the options of the queues come from')
    .description(
      "bring queues along from Floki's own server: messages with their ids and times, channels with their places",
    )
    .addHelpText('after', '\nWithout --options all messages are kept until somebody says otherwise.')
  bring.action((source: string, options: FlokiImportOptions) => finish(flokiImport(source, options, terminal)))
}

function addClientOptions(command: Command, terminal: Terminal, json: string): void {
  const fromEnv = terminal.env['PORT']
  command.optionsGroup('Server and output:')
  command.option('--host <host>', 'where the server listens', '127.0.0.1')
  const port = new Option('--port <port>', `native port of the server (default: ${DEFAULT_PORT}; env: PORT)`)
  command.addOption(port.argParser(readPort))
  command.option('--json', json)
  command.hook('preAction', (_, acting) => {
    if (acting.getOptionValue('port') !== undefined) return
    try {
      acting.setOptionValue('port', fromEnv === undefined || fromEnv === '' ? DEFAULT_PORT : readPort(fromEnv))
    } catch {
      acting.error(`error: PORT is "${fromEnv}", and a port is a number from 1 to 65535`)
    }
  })
}

function report(error: unknown, terminal: Terminal): number {
  if (error instanceof ConfigError) {
    say(terminal, 'the settings have mistakes:')
    for (const mistake of error.mistakes) terminal.stderr.write(`  ${mistake}\n`)
    return EXIT_USAGE
  }
  // What leveret and the system refuse is told in a sentence; all else is a defect, and its stack is what a report needs.
  if (error instanceof LeveretError && error.code !== 'LVT_INTERNAL') say(terminal, error.message)
  else if (isSystemError(error)) say(terminal, systemErrorText(error))
  else say(terminal, error instanceof Error ? (error.stack ?? error.message) : String(error))
  return EXIT_FAILURE
}

function version(): string {
  const manifest: unknown = createRequire(import.meta.url)('leveret/package.json')
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest
  return isNamed ? String(manifest.version) : 'unknown'
}
