import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSystemError, systemErrorText } from '../../src/cli/system-errors.js'

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return null
}

function textOf(error: unknown): string | null {
  return isSystemError(error) ? systemErrorText(error) : null
}

test('says which call, which path and why', () => {
  const folder = mkdtempSync(join(tmpdir(), 'leveret-errors-'))
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const inFile = join(file, 'data')
  assert.equal(textOf(thrownBy(() => mkdirSync(inFile))), `mkdir ${inFile}: not a directory (ENOTDIR)`)
  assert.equal(textOf(thrownBy(() => mkdirSync(file))), `mkdir ${file}: file already exists (EEXIST)`)
  rmSync(folder, { recursive: true })
})

test('says what it can of a call without a path, and of an error that the system has no words for', () => {
  const full = Object.assign(new Error('ENOSPC'), { code: 'ENOSPC', syscall: 'write', errno: -constants.errno.ENOSPC })
  assert.equal(textOf(full), 'write: no space left on device (ENOSPC)')
  const unknown = Object.assign(new Error('getaddrinfo ENOTFOUND nowhere'), {
    code: 'ENOTFOUND',
    syscall: 'getaddrinfo',
  })
  assert.equal(textOf(unknown), 'getaddrinfo ENOTFOUND nowhere')
})

test('takes a defect for none of the system', () => {
  assert.equal(textOf(new TypeError('x is not a function')), null)
  assert.equal(textOf(thrownBy(() => mkdirSync('\0'))), null)
  assert.equal(textOf('ENOENT'), null)
})
