/**
 * The commands for those who come from MeiliES: its server under its own flags, and what its tools did. Called by args.ts.
 */
import { type Command, Option } from 'commander'
import { type MeiliesInspectOptions, meiliesInspect } from './commands/meilies-inspect.js'
import { type MeiliesMigrateOptions, meiliesMigrate } from './commands/meilies-migrate.js'
import { type MeiliesServerOptions, meiliesServer } from './commands/meilies-server.js'
import type { Terminal } from './terminal.js'
import { readAddress, readListenPort, readPort, readServer } from './values.js'

/** Waits for the exit code. */
type Finish = (command: Promise<number>) => Promise<void>

export function addMeiliesCommands(program: Command, terminal: Terminal, finish: Finish): void {
  addServer(program, terminal, finish)
  addInspect(program, terminal, finish)
  addMigrate(program, terminal, finish)
}

/** Flags, defaults and short names are those of MeiliES, whose `-h` is no help. */
function addServer(program: Command, terminal: Terminal, finish: Finish): void {
  const command = program
    .command('meilies-server')
    .description("run as MeiliES' own server does: its flags, its port, and nothing but its dialect")
    .helpOption('--help', 'print this help')
    .option('-h, --hostname <address>', 'address to listen on', readAddress, '127.0.0.1')
    .option('-p, --port <port>', 'port to listen on, 0 for a free one', readListenPort, 6480)
    .option('--db-path <folder>', "leveret's own data, made if it is missing", '/var/lib/meilies')
    .option('--insecure', 'listen on an address that others can reach, although anybody there may read and write')
    .option('--compression-factor <level>', 'taken and ignored')
    .option('--no-sentry', 'taken and ignored')
    .option('--no-vigil', 'taken and ignored')
    .addHelpText('after', '\nAll other settings come from the environment, as for `leveret serve`.')
  command.action((options: MeiliesServerOptions) => finish(meiliesServer(options, terminal)))
}

/** As above. */
function addInspect(program: Command, terminal: Terminal, finish: Finish): void {
  const command = program
    .command('meilies-inspect')
    .argument('<command>', 'for bash: the data on its standard input, and in its environment MEILIES_STREAM_NAME, ...')
    .description(
      'run a command for each event of a MeiliES stream, one after the other, until one fails or the range ends',
    )
    .helpOption('--help', 'print this help')
    .option('-h, --hostname <host>', 'where the server listens', '127.0.0.1')
    .option('-p, --port <port>', 'port of its MeiliES dialect', readPort, 6480)
    .requiredOption('--stream <spec>', 'what to subscribe to, like orders:0 or $all:0')
    .option('--position <file>', 'keep there which event is next, and go on with it the next time')
    .addHelpText(
      'after',
      '\nThe environment has MEILIES_STREAM_NAME, MEILIES_EVENT_NAME and MEILIES_EVENT_NUMBER.' +
        '\nAn event whose command failed, or was not finished, comes again the next time.',
    )
  command.action((shell: string, options: MeiliesInspectOptions) => finish(meiliesInspect(shell, options, terminal)))
}

function addMigrate(program: Command, terminal: Terminal, finish: Finish): void {
  const from = new Option('--from <host:port>', 'the server that has the events, leveret or MeiliES itself')
  const to = new Option('--to <host:port>', 'the server that gets them, at the port of its MeiliES dialect')
  const command = program
    .command('meilies-migrate')
    .argument('[streams...]', 'all streams unless given')
    .description('copy MeiliES streams to another server with their numbers, and follow what comes')
    .addOption(from.argParser(readServer).makeOptionMandatory())
    .addOption(to.argParser(readServer).makeOptionMandatory())
    .option('--no-follow', 'end when everything is copied that is there now')
    .option('--fill <name>', 'let an empty event of this name stand for each one that the source has lost')
    .addHelpText(
      'after',
      '\nIt may be ended and started again at any time: it goes on behind what the destination has.' +
        '\nNobody else may publish to the destination meanwhile, or the numbers would not be the same.',
    )
  command.action((streams: string[], options: MeiliesMigrateOptions) =>
    finish(meiliesMigrate(streams, options, terminal)),
  )
}
