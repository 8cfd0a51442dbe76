/**
 * A disk that is full while a server runs, as users see it. The limit that the system puts on the size of files stands for
 * it: that needs no privilege, and can be set and lifted from outside.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { systemClock } from '../../src/common/clock.js'
import { type Server, startServer } from '../helpers/leveret-process.js'

const TOPIC = 'filled'
const FULL_BYTES = 64 * 1024
const LINES = 'x'.repeat(999).concat('\n').repeat(200)
const INTERRUPTED_MAX_MS = 5_000

const skip = spawnSync('prlimit', ['--version']).status === 0 ? false : 'prlimit is not installed'

/** Bytes that any file may have; only the soft limit, which may be raised again. */
function limitFiles({ process }: Server, bytes: number | 'unlimited'): void {
  const { status, stderr } = spawnSync('prlimit', [`--pid=${process.child.pid}`, `--fsize=${bytes}:`])
  assert.equal(status, 0, String(stderr))
}

async function startWithTopic(): Promise<Server> {
  const server = await startServer()
  await server.succeed(['topics', 'create', TOPIC, '--retain', '1h'])
  await server.succeed(['pub', TOPIC], 'first\n')
  return server
}

test('a server says when its disk is full, and when that is over', { skip }, async () => {
  const server = await startWithTopic()
  limitFiles(server, FULL_BYTES)
  const publisher = server.start(['pub', TOPIC])
  publisher.child.stdin.end(LINES)
  await server.process.printed(/^full: topic "filled", partition 0: the disk failed to write \(EFBIG\)$/m, 'stderr')
  limitFiles(server, 'unlimited')
  const { code, stderr } = await publisher.ended
  assert.equal(code, 0, stderr)
  await server.process.printed(/^over: full: topic "filled", partition 0: /m, 'stderr')
  assert.equal((await server.stop()).stderr.match(/\n/g)?.length, 2)
})

test('an interrupted publisher ends soon, and says how much was not stored and why', { skip }, async () => {
  const server = await startWithTopic()
  limitFiles(server, FULL_BYTES)
  const publisher = server.start(['pub', TOPIC])
  publisher.child.stdin.write(LINES)
  await server.process.printed(/^full: /m, 'stderr')
  const askedMs = systemClock.monotonic()
  publisher.signal('SIGINT')
  const { code, stdout, stderr } = await publisher.ended
  const tookMs = systemClock.monotonic() - askedMs
  assert.equal(code, 1)
  assert.ok(tookMs < INTERRUPTED_MAX_MS, `it took ${tookMs} ms`)
  const stored = Number(/^published (\d+) records /.exec(stdout.toString())?.[1])
  // A publish that is being tried again in this very moment is in doubt, and said to be.
  const why =
    /^leveret: interrupted\nleveret: (\d+) records were not acknowledged: (?:the disk failed|.* may be stored)/
  const [, unstored] = why.exec(stderr) ?? assert.fail(stderr)
  assert.equal(stored + Number(unstored), 200)
  limitFiles(server, 'unlimited')
  await server.stop()
})
