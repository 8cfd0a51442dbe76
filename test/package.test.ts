/**
 * What a user gets: the package is packed and installed into an empty project elsewhere, then run, imported and type-checked.
 * The project is copied before it is packed, so that several runs in one checkout do not meet in dist/.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, sep } from 'node:path'
import process from 'node:process'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const NOT_COPIED = ['.git', '.cache', 'dist', 'leveret-data', 'node_modules', 'test', 'bench']

const place = mkdtempSync(join(realpathSync(tmpdir()), 'leveret-package-'))
const project = join(place, 'project')
let packed: readonly string[] = []

interface Ended {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function run(command: string, words: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(command, words, { cwd, env: { ...plainEnv(), ...env } }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1
      resolve({ code, stdout, stderr })
    })
  })
}

async function succeed(...how: Parameters<typeof run>): Promise<string> {
  const { code, stdout, stderr } = await run(...how)
  assert.equal(code, 0, `${how[0]} ${how[1].join(' ')}\n${stdout}\n${stderr}`)
  return stdout
}

/** The environment without what an outer `npm test` adds: it would point the inner npm at the outer project. */
function plainEnv(): NodeJS.ProcessEnv {
  const added =
    /^(?:npm_(?:package|lifecycle)_|npm_(?:command|execpath|node_execpath)$|npm_config_local_prefix$|INIT_CWD$|NODE_OPTIONS$|NODE_TEST_CONTEXT$)/
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !added.test(name)))
}

before(async () => {
  const copy = join(place, 'copy')
  const isCopied = (path: string): boolean => !NOT_COPIED.includes(relative(ROOT, path).split(sep)[0] ?? '')
  cpSync(ROOT, copy, { recursive: true, filter: isCopied })
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  // The lifecycle script prints to the same stream, so the report is what follows the last line that opens an array.
  const report = await succeed('npm', ['pack', '--json', '--silent', '--pack-destination', place], copy)
  const [tarball] = JSON.parse(report.slice(report.lastIndexOf('\n[') + 1)) as {
    filename: string
    files: { path: string }[]
  }[]
  assert.ok(tarball !== undefined)
  packed = tarball.files.map(({ path }) => path)

  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }))
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', join(place, tarball.filename)]
  await succeed('npm', install, project)
})

after(() => rmSync(place, { recursive: true, force: true }))

describe('the package, installed in an empty project', () => {
  test('holds compiled code, types and papers, and nothing else', () => {
    const folders = new Set(packed.map((path) => path.split('/')[0]))
    for (const needed of ['LICENSE', 'README.md', 'package.json', 'bin', 'dist']) assert.ok(folders.has(needed), needed)
    for (const path of ['dist/src/index.d.ts', 'dist/client/index.d.ts']) assert.ok(packed.includes(path), path)
    assert.deepEqual(
      packed.filter((path) => /^(?:src|client|test|scripts)\/|(?<!\.d)\.ts$/.test(path)),
      [],
    )
  })

  test('answers npx leveret --help', async () => {
    const help = await succeed('npx', ['--no-install', 'leveret', '--help'], project)
    for (const command of ['serve', 'pub', 'sub', 'topics']) assert.match(help, new RegExp(`\\b${command}\\b`))
  })

  test('says the version it was packed under', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    assert.equal((await succeed('npx', ['--no-install', 'leveret', '--version'], project)).trim(), version)
  })

  test('is imported as compiled JavaScript', async () => {
    const script = `
      import { createBroker } from 'leveret'
      import { connect } from 'leveret/client'
      console.log(typeof createBroker, typeof connect, import.meta.resolve('leveret'), import.meta.resolve('leveret/client'))`
    const printed = await succeed(process.execPath, ['--input-type=module', '--eval', script], project)
    assert.match(printed, /^function function file:\S+\/dist\/src\/index\.js file:\S+\/dist\/client\/index\.js\n$/)
  })

  for (const [moduleResolution, module] of [
    ['node16', 'node16'],
    ['nodenext', 'nodenext'],
    ['bundler', 'esnext'],
  ] as const) {
    test(`has types under moduleResolution ${moduleResolution}`, async () => {
      const folder = join(project, moduleResolution)
      mkdirSync(folder)
      writeFileSync(join(folder, 'user.ts'), USER)
      const compilerOptions = {
        module,
        moduleResolution,
        target: 'es2022',
        strict: true,
        noEmit: true,
        types: ['node'],
      }
      // What the package's types name must come with the package; only the types of Node are the user's to bring.
      const options = { ...compilerOptions, skipLibCheck: false, typeRoots: [join(ROOT, 'node_modules', '@types')] }
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['user.ts'] }))
      await succeed(process.execPath, [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', folder], project)
    })
  }
})

/** Fails to compile when a name is missing, or has no better type than any. */
const USER = `
import { createBroker } from 'leveret'
import { connect } from 'leveret/client'
type Known<T> = 0 extends 1 & T ? never : T
export const create: Known<typeof createBroker> = createBroker
export const broker: Known<ReturnType<typeof createBroker>> = createBroker()
export const client: Known<Awaited<ReturnType<typeof connect>>> = await connect({ port: 8889 })
`

describe('the clone', () => {
  test('answers npx leveret --help from its sources, without a build and without a network', async () => {
    const fresh = { npm_config_cache: join(place, 'cache'), npm_config_offline: 'true' }
    const help = await succeed('npx', ['leveret', '--help'], ROOT, fresh)
    assert.match(help, /\bserve\b/)
  })
})
