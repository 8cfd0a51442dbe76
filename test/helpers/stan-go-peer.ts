/**
 * The program with stan.go of test/peers/stan-go: built once a run, out of the tree, and run scenario by scenario. What it prints is
 * what a test looks at; what it asks for is done to the server that the test has.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findPeer, skipUnless } from './peer.js'

const FOLDER = fileURLToPath(new URL('../peers/stan-go', import.meta.url))
/** Together less than a file of tests may take; without anything compiled before a busy machine takes 80 seconds. */
const FETCH_MS = 40_000
const BUILD_MS = 120_000

export interface StanGo {
  /** False when it is there. */
  readonly skip: string | false
  readonly program: string
}

/** What is done when the program asks for it, by name. */
export type Doings = Readonly<Record<string, () => Promise<void> | void>>

/**
 * Go is from Debian and may be required. Its modules are from a proxy that no machine has to reach: without them it is told on
 * standard error, also where peers are required. That the program compiles is required again.
 */
export function buildStanGo(): StanGo {
  const go = findPeer('go')
  if (!go.found) return { skip: go.skip, program: '' }
  const missing = fetchModules(go.file)
  if (missing !== null) {
    const skip = `the modules of stan.go are not here: ${missing}`
    console.error(`SKIPPED: ${skip}`)
    return { skip, program: '' }
  }
  const place = mkdtempSync(join(tmpdir(), 'leveret-stan-go-'))
  process.once('exit', () => rmSync(place, { recursive: true, force: true }))
  const program = join(place, 'stan-peer')
  const skip = skipUnless('the program with stan.go', () => {
    runGo(go.file, ['build', '-ldflags=-s -w', '-o', program, '.'], BUILD_MS)
  })
  return { skip, program }
}

/** The lines that a scenario prints. Rejects when it fails, with what it says of that. */
export async function runStanGo(
  t: TestContext,
  { program }: StanGo,
  url: string,
  scenario: string,
  doings: Doings = {},
): Promise<string[]> {
  const child = spawn(program, [url, scenario])
  t.after(() => child.kill('SIGKILL'))
  child.stdin.on('error', () => undefined) // it has ended; how it did says more
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString()
  })
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    const what = line.startsWith('? ') ? line.slice(2) : null
    if (what === null) {
      lines.push(line)
      continue
    }
    const doing = doings[what]
    assert.ok(doing !== undefined, `it asks for "${what}"`)
    await doing()
    child.stdin.write('done\n')
  }
  const code = await closed
  assert.equal(code, 0, `${scenario} failed after ${JSON.stringify(lines)}:\n${complaint}`)
  return lines
}

/** Why they cannot be had; null when they are there. Modules that are others than go.sum says throw. */
function fetchModules(go: string): string | null {
  try {
    runGo(go, ['list', '-deps', '.'], FETCH_MS)
    return null
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : ''
    if (/checksum mismatch|SECURITY ERROR|missing go\.sum entry|updates to go\.mod needed/.test(said)) throw error
    return (said === '' ? String(error) : said).trim().split('\n').at(-1) ?? ''
  }
}

function runGo(go: string, words: readonly string[], timeout: number): void {
  const flags = '-mod=readonly -buildvcs=false'
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: flags, GOTOOLCHAIN: 'local', GOWORK: 'off' }
  execFileSync(go, words, { cwd: FOLDER, env, timeout, stdio: ['ignore', 'ignore', 'pipe'] })
}
