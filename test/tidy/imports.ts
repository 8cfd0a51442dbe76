/**
 * Rules about who imports whom: the directions between rooms, cycles, dead files, barrels. Pure: sources in,
 * complaints out. The table below is the map of ARCHITECTURE.md in a form that a machine reads.
 */
import { posix } from 'node:path'
import { type Import, importsOf, type Source } from './scan.js'

/** Rooms that every room may use; they use each other and nothing else. */
const GROUND = ['src/model', 'src/common', 'src/metrics']

/** Files that put the parts together, and may import every room. */
const COMPOSITION = ['src/app.ts', 'src/index.ts', 'src/main.ts']

/** What each room may import beside itself and the ground. A folder stands for all in it. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  // The drop-in command speaks in the words of what it starts: its name, its limits, and what it tells its operator.
  'src/cli/nats-streaming': [
    'src/cli',
    'src/app.ts',
    'src/config',
    'src/gateways/nats-streaming/core/server-info.ts',
    'src/gateways/nats-streaming/streaming/store-limits.ts',
    'src/gateways/nats-streaming/streaming/channel-names.ts',
    'src/gateways/nats-streaming/streaming/go-duration.ts',
    'src/gateways/nats-streaming/streaming/journal.ts',
  ],
  'src/cli': ['src/app.ts', 'src/config', 'client'],
  // Works on a data directory with no broker between, through the one file that knows engines.
  'src/cli/commands/check.ts': ['src/cli', 'src/config', 'src/storage/open-engine.ts', 'src/storage/check-report.ts'],
  // Read what Floki's own server left, which is in that gateway's words.
  'src/cli/commands/floki.ts': ['src/cli', 'src/gateways/resp/floki'],
  'src/cli/commands/floki-import.ts': ['src/cli', 'src/app.ts', 'src/config', 'src/gateways/resp/floki'],
  'src/config': [],
  'src/transport': [],
  'src/protocol': [],
  'src/security': [],
  'src/session': ['src/transport', 'src/protocol', 'src/broker', 'src/security'],
  'src/gateways/*': [
    'src/transport',
    'src/broker',
    'src/security',
    'src/gateways/gateway.ts',
    'src/gateways/state-topic.ts',
  ],
  'src/gateways': ['src/transport', 'src/broker', 'src/security'],
  'src/broker': ['src/groups', 'src/storage/engine.ts'],
  'src/groups': ['src/storage/engine.ts'],
  'src/storage/open-engine.ts': ['src/storage'],
  // The local engine runs the machines of groups; an engine that has groups of its own speaks their words only.
  'src/storage/engine.ts': ['src/groups/shared/settings.ts'],
  'src/storage/local': ['src/groups', 'src/storage/engine.ts', 'src/storage/store.ts'],
  'src/storage/*': ['src/storage/engine.ts', 'src/storage/store.ts', 'src/storage/check-report.ts'],
  'src/storage': [],
  'src/metrics': [],
  'src/model': [],
  'src/common': [],
  client: ['src/protocol'],
  examples: ['client/index.ts', 'src/index.ts'],
}

/** Only this file knows which engines there are, so that an engine is a folder and one line. */
const ENGINE_LIST = 'src/storage/open-engine.ts'

/** Codecs and the model turn bytes into values; whoever owns the socket or the file is elsewhere. */
const WITHOUT_IO = ['src/protocol', 'src/model']
const IO_MODULES = /^(?:node:)?(?:fs|net|tls|http|https|http2|dgram|child_process|worker_threads|cluster)(?:\/|$)/

const BARRELS = ['src/index.ts', 'client/index.ts']
const ENTRIES = ['src/main.ts', ...BARRELS]

export function wrongDirections(sources: readonly Source[]): string[] {
  return sources.flatMap((source) =>
    importsOf(source).flatMap((imported) => {
      const complaint = complaintOn(source.path, imported)
      return complaint === null ? [] : [`${source.path}:${imported.line} ${complaint}`]
    }),
  )
}

function complaintOn(path: string, imported: Import): string | null {
  const target = targetOf(path, imported)
  if (target === null) return isForbiddenIo(path, imported) ? `a codec does no I/O: ${imported.specifier}` : null
  const room = roomOf(path)
  if (path.startsWith('src/') && path !== ENGINE_LIST && isEngine(target) && !isIn(target, room ?? path)) {
    return `only ${ENGINE_LIST} names an engine: ${target}`
  }
  return room === null || isAllowed(room, target) ? null : `${room} must not import ${target}`
}

export function cycles(sources: readonly Source[]): string[] {
  const graph = graphOf(sources)
  const done = new Set<string>()
  const complaints: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) complaints.push(`${[...trail.slice(start), path].join(' -> ')} is a cycle`)
    if (start >= 0 || done.has(path)) return
    for (const next of graph.get(path) ?? []) visit(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return complaints
}

/** Files that no entry reaches. With no entry among the sources everything is dead, which is the honest answer. */
export function deadFiles(sources: readonly Source[], entries: readonly string[] = ENTRIES): string[] {
  const graph = graphOf(sources)
  const reached = new Set<string>()
  const queue = [...entries]
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (reached.has(path)) continue
    reached.add(path)
    queue.push(...(graph.get(path) ?? []))
  }
  return [...graph.keys()].filter((path) => !reached.has(path)).map((path) => `${path} is reached by no entry`)
}

export function brokenImports(sources: readonly Source[]): string[] {
  const known = new Set(sources.map(({ path }) => path))
  return sources.flatMap((source) =>
    importsOf(source).flatMap((imported) => {
      const target = targetOf(source.path, imported)
      if (target === null || known.has(target) || !target.endsWith('.ts')) return []
      return [`${source.path}:${imported.line} imports ${target}, which does not exist`]
    }),
  )
}

/** A name is imported from where it is made, except through the two doors of the package. */
export function barrels(sources: readonly Source[]): string[] {
  return sources
    .filter(({ path }) => !BARRELS.includes(path))
    .flatMap((source) => {
      const named = source.path.endsWith('/index.ts') ? [`${source.path} is named like a barrel`] : []
      const handsOn = importsOf(source).filter(({ isReexport }) => isReexport)
      return [...named, ...handsOn.map(({ line, specifier }) => `${source.path}:${line} hands on ${specifier}`)]
    })
}

function graphOf(sources: readonly Source[]): Map<string, string[]> {
  const known = new Set(sources.map(({ path }) => path))
  const targets = (source: Source): string[] =>
    importsOf(source)
      .map((imported) => targetOf(source.path, imported))
      .filter((target) => target !== null && known.has(target)) as string[]
  return new Map(sources.map((source) => [source.path, targets(source)]))
}

/** The file a relative import means; null for packages. Sources name the compiled file: `./x.js` is `./x.ts`. */
function targetOf(path: string, imported: Import): string | null {
  if (!imported.specifier.startsWith('.')) return null
  return posix.join(posix.dirname(path), imported.specifier).replace(/\.js$/, '.ts')
}

/** The most particular row of the table; null for the composition and for folders without rules. */
function roomOf(path: string): string | null {
  if (COMPOSITION.includes(path)) return null
  if (ALLOWED[path] !== undefined) return path
  const [top = '', second = '', third = '', ...deeper] = path.split('/')
  if (top !== 'src') return ALLOWED[top] === undefined ? null : top
  const room = `${top}/${second}`
  const inner = `${room}/${third}`
  return deeper.length > 0 && (ALLOWED[inner] ?? ALLOWED[`${room}/*`]) !== undefined ? inner : room
}

function isAllowed(room: string, target: string): boolean {
  const allowed = ALLOWED[room] ?? ALLOWED[room.replace(/[^/]+$/, '*')] ?? []
  return [room, ...groundOf(room), ...allowed].some((place) => isIn(target, place))
}

/** The client counts nothing, and an example sees what a user sees. */
function groundOf(room: string): readonly string[] {
  if (room === 'examples') return []
  return room === 'client' ? ['src/model', 'src/common'] : GROUND
}

function isEngine(target: string): boolean {
  return /^src\/storage\/[^/]+\//.test(target)
}

function isForbiddenIo(path: string, imported: Import): boolean {
  return WITHOUT_IO.some((place) => isIn(path, place)) && IO_MODULES.test(imported.specifier)
}

function isIn(path: string, place: string): boolean {
  return path === place || path.startsWith(`${place}/`)
}
