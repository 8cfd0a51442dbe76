/**
 * node-nats-streaming's own tests, which its package does not bring: from the folder that LEVERET_STAN_SUITE names, a checkout with
 * its dependencies installed, or fetched once into .cache where git and npm reach what they need. Nothing of it is part of leveret.
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const SOURCE = 'https://github.com/nats-io/stan.js.git'
/** What its tests need; the rest of its development needs is for checking its sources. */
const NEEDED = ['mocha@9', 'should@13']
const FETCHED = fileURLToPath(new URL('../../.cache/stan-suite', import.meta.url))
const SERVERS = fileURLToPath(new URL('stan-suite-servers.cjs', import.meta.url))
const LAUNCHER = fileURLToPath(new URL('../../bin/nats-streaming-server.js', import.meta.url))
const MOCHA = join('node_modules', 'mocha', 'bin', 'mocha')
const FETCH_MS = 120_000

export type StanSuite =
  | { readonly found: true; readonly folder: string }
  | { readonly found: false; readonly skip: string }

interface Titled {
  readonly fullTitle: string
  readonly duration?: number
  readonly err: { readonly message?: string }
}

export interface SuiteReport {
  readonly passes: readonly Titled[]
  readonly failures: readonly Titled[]
  readonly pending: readonly Titled[]
}

/**
 * A missing one is told on standard error, also where peers are required: no registry of packages has these tests, so whether they
 * can be had is not in a machine's hands. One that is named and not there throws.
 */
export function findStanSuite(): StanSuite {
  const named = process.env.LEVERET_STAN_SUITE
  const folder = named ?? FETCHED
  let why = `LEVERET_STAN_SUITE=${folder} is no checkout of it with mocha installed`
  if (named === undefined && !isThere(folder)) why = fetchInto(folder)
  if (isThere(folder)) return { found: true, folder }
  const skip = `the tests of node-nats-streaming are not here: ${why}`
  if (named !== undefined) throw new Error(skip)
  console.error(`SKIPPED: ${skip}`)
  return { found: false, skip }
}

/** One of its files, against the nats-streaming-server of this clone. */
export async function runStanSuite(folder: string, file: string): Promise<SuiteReport> {
  const place = mkdtempSync(join(tmpdir(), 'leveret-suite-'))
  try {
    const bin = join(place, 'bin')
    mkdirSync(bin)
    const launcher = `#!/bin/sh\nexec '${process.execPath}' '${LAUNCHER}' -a 127.0.0.1 "$@"\n`
    writeFileSync(join(bin, 'nats-streaming-server'), launcher, { mode: 0o755 })
    const words = ['--exit', '--timeout', '15000', '--reporter', 'json', '--require', SERVERS, join('test', file)]
    const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...plain } = process.env
    const env = { ...plain, PATH: [bin, process.env.PATH].join(delimiter), TMPDIR: place }
    const child = spawn(process.execPath, [MOCHA, ...words], { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
    let printed = ''
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
    })
    await new Promise((resolve) => child.once('close', resolve))
    return reportIn(printed)
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

/** Tests print, too: the report is the last object. */
function reportIn(printed: string): SuiteReport {
  const at = printed.lastIndexOf('\n{\n  "stats"')
  return JSON.parse(printed.slice(at === -1 ? printed.indexOf('{') : at)) as SuiteReport
}

function isThere(folder: string): boolean {
  return existsSync(join(folder, 'test', 'basics.js')) && existsSync(join(folder, MOCHA))
}

/** Why it could not; empty when it could. */
function fetchInto(folder: string): string {
  const options = { timeout: FETCH_MS, stdio: ['ignore', 'ignore', 'pipe'] as ['ignore', 'ignore', 'pipe'] }
  try {
    rmSync(folder, { recursive: true, force: true })
    execFileSync('git', ['clone', '--quiet', '--depth', '1', SOURCE, folder], {
      ...options,
      env: { ...process.env, GIT_TERMINAL_PROMPT: '0' },
    })
    const install = ['install', '--omit=dev', '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', ...NEEDED]
    execFileSync('npm', install, { ...options, cwd: folder })
    return ''
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    return `they could not be fetched (${error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error)})`
  }
}
