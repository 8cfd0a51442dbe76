/**
 * A clone that runs from its sources: what it compiles is there for every user, and where it cannot be written to it is
 * compiled elsewhere. The clone here is a copy, so that nothing meets what runs from this one.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const COPIED = ['bin', 'client', 'scripts', 'src', 'package.json', 'package-lock.json', 'tsconfig.json']
/** Permissions do not bind root, who therefore runs it as somebody else. */
const SOMEBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}

const skip =
  process.getuid === undefined
    ? 'this system has no users as Unix has them'
    : spawnSync(process.execPath, [join(ROOT, 'scripts', 'compiled-sources.js')], SOMEBODY).status === 0
      ? false
      : 'another user than root cannot read this clone'

describe('a clone', { skip }, () => {
  const place = mkdtempSync(join(realpathSync(tmpdir()), 'leveret-clone-'))
  const clone = join(place, 'clone')
  const temporary = join(place, 'tmp')

  before(() => {
    for (const name of COPIED) cpSync(join(ROOT, name), join(clone, name), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'))
    mkdirSync(temporary)
    chmodSync(temporary, 0o1777)
    chmodSync(place, 0o755)
    chmodSync(clone, 0o555)
  })
  after(() => {
    chmodSync(clone, 0o755)
    rmSync(place, { recursive: true })
  })

  function run(words: readonly string[], user: { uid?: number; gid?: number }) {
    const env = { ...process.env, TMPDIR: temporary }
    const done = spawnSync(process.execPath, [join(clone, 'bin', 'leveret.js'), ...words], { ...user, env, cwd: place })
    return { code: done.status, stdout: String(done.stdout), stderr: String(done.stderr) }
  }

  test('that cannot be written to is compiled into the temporary directory, once', () => {
    // Of leveret, of its dependencies and of its manifest: all are found from there.
    assert.match(run(['--version'], SOMEBODY).stdout, /^\d+\.\d+\.\d+\n$/)
    const [own = '', ...others] = readdirSync(temporary)
    assert.deepEqual(others, [])
    assert.equal(statSync(join(temporary, own)).mode & 0o777, 0o700)
    const compiled = readdirSync(join(temporary, own))
    assert.equal(compiled.length, 1)
    assert.equal(run(['--help'], SOMEBODY).code, 0)
    assert.deepEqual(readdirSync(join(temporary, own)), compiled)
  })

  test('takes nothing from a folder that others can write to, and says so in one line', () => {
    const [own = ''] = readdirSync(temporary)
    chmodSync(join(temporary, own), 0o777)
    const { code, stderr } = run(['--version'], SOMEBODY)
    assert.equal(code, 1)
    assert.match(stderr, /^leveret: the sources are not compiled and .* cannot be written to, and .* is not .*alone\n$/)
  })

  test('that one user has compiled runs for every other', () => {
    chmodSync(clone, 0o755)
    assert.equal(run(['--version'], {}).code, 0)
    const [compiled = ''] = readdirSync(join(clone, '.cache', 'run'))
    const folder = statSync(join(clone, '.cache', 'run', compiled))
    assert.equal(folder.mode & 0o777, 0o777 & ~process.umask())
    // The folder in the temporary directory is still one that it refuses.
    assert.equal(run(['--version'], SOMEBODY).code, 0)
  })
})
