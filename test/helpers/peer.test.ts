import assert from 'node:assert/strict'
import { basename, dirname } from 'node:path'
import { test } from 'node:test'
import { findPeer, skipUnless } from './peer.js'

const lines: string[] = []
const warn = (line: string): void => {
  lines.push(line)
}

test('finds a peer on the path', () => {
  const peer = findPeer(basename(process.execPath), { path: dirname(process.execPath), isRequired: true, warn })
  assert.deepEqual(peer, { found: true, file: process.execPath })
})

test('skips a missing peer loudly', () => {
  const peer = findPeer('no-such-server', { path: '/nowhere', isRequired: false, warn })
  assert.deepEqual(peer, { found: false, skip: 'no-such-server is not installed' })
  assert.deepEqual(lines, ['SKIPPED: no-such-server is not installed; its suite did not run'])
})

test('refuses to skip when peers are required', () => {
  assert.throws(() => findPeer('no-such-server', { path: '/nowhere', isRequired: true, warn }), /asks for it/)
})

test('skips a peer that cannot be made here, or refuses to', () => {
  const fail = (): void => {
    throw new Error('no network')
  }
  assert.equal(
    skipUnless('some-client', () => undefined, { path: '', isRequired: true, warn }),
    false,
  )
  assert.equal(skipUnless('some-client', fail, { path: '', isRequired: false, warn }), 'some-client could not be made')
  assert.equal(lines.at(-1), 'SKIPPED: some-client could not be made: Error: no network')
  assert.throws(() => skipUnless('some-client', fail, { path: '', isRequired: true, warn }), /no network/)
})
