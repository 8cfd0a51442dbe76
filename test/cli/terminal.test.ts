import assert from 'node:assert/strict'
import { once } from 'node:events'
import { PassThrough, Writable } from 'node:stream'
import { test } from 'node:test'
import { LineOutput } from '../../src/cli/terminal.js'

test('writes the lines of one turn together', async () => {
  const writes: string[] = []
  const stream = new Writable({
    write(chunk, _, done) {
      writes.push(String(chunk))
      done()
    },
  })
  const output = new LineOutput(stream)
  output.write('a')
  output.write(Buffer.from('b'))
  assert.deepEqual(writes, [])
  await output.end()
  assert.deepEqual(writes, ['a\nb\n'])
})

test('says when the reader has enough, and waits until it reads on', async () => {
  const stream = new PassThrough({ highWaterMark: 1024 })
  const output = new LineOutput(stream)
  const line = Buffer.alloc(16 * 1024, 'x')
  let lines = 1
  while (output.write(line)) lines++
  assert.ok(lines <= 8, `${lines} lines were taken for a reader that takes none`)
  let isReady = false
  const ready = output.ready().then(() => {
    isReady = true
  })
  await new Promise(setImmediate)
  assert.equal(isReady, false)
  stream.resume()
  await ready
  assert.equal(output.write('more'), true)
  await output.end()
})

test('is ready at once when the reader took everything before anybody waited', async () => {
  const stream = new PassThrough({ highWaterMark: 16 })
  const output = new LineOutput(stream)
  assert.equal(output.write(Buffer.alloc(128 * 1024)), false)
  const drained = once(stream, 'drain')
  stream.resume()
  await drained
  await output.ready()
})

test('stops writing, and waits for nobody, once the reader has gone away', async () => {
  const stream = new PassThrough({ highWaterMark: 16 })
  const output = new LineOutput(stream)
  output.write(Buffer.alloc(128 * 1024))
  const ready = output.ready()
  stream.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
  await ready
  assert.equal(output.closed.aborted, true)
  assert.equal(output.write('into the void'), true)
  await output.end()
})

test('a disk that is full is a failure, not a reader that has gone away', async () => {
  const stream = new PassThrough()
  const output = new LineOutput(stream)
  output.write('line')
  stream.destroy(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }))
  await assert.rejects(output.end(), { code: 'ENOSPC' })
})
