/**
 * One process owns a data directory: who else comes is refused, and a lock whose process is gone is taken over.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { LeveretError } from '../../../src/common/errors.js'
import { encodeLine } from '../../../src/storage/log/sealed-lines.js'
import { LogPlace } from '../../helpers/log-place.js'

const code = (wanted: string) => (error: unknown) => error instanceof LeveretError && error.code === wanted

async function closedPlace(): Promise<{ place: LogPlace; path: string; data: string; generation: number }> {
  const place = await LogPlace.temporary()
  const store = await place.open()
  const data = store.identity ?? ''
  await store.close()
  return { place, path: join(place.data, 'lock'), data, generation: 2 }
}

test('a second store in the same process is refused, and comes in when the first is closed', async () => {
  const place = await LogPlace.temporary()
  const first = await place.open()
  await assert.rejects(place.open(), code('LVT_DATA_IN_USE'))
  await assert.rejects(place.open(), code('LVT_DATA_IN_USE'))
  await first.close()
  await (await place.open()).close()
  place.remove()
})

test('a living process keeps others out; when it is dead the lock is taken over', async () => {
  const { place, path, data, generation } = await closedPlace()
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log("up")'])
  await once(child.stdout, 'data')
  const stat = readFileSync(`/proc/${child.pid}/stat`, 'latin1')
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  const life = `${boot}/${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  writeFileSync(path, encodeLine({ pid: child.pid, life, generation, data }))
  await assert.rejects(place.open(), code('LVT_DATA_IN_USE'))
  child.kill('SIGKILL')
  await once(child, 'exit')
  await (await place.open()).close()
  // The number of a living process, but not that process: it was given out again, or the machine was started again.
  writeFileSync(path, encodeLine({ pid: process.ppid, life: `${boot}/1`, generation, data }))
  await (await place.open()).close()
  place.remove()
})

test('a lock with one good line left still keeps others out; one with none refuses', async () => {
  const place = await LogPlace.temporary()
  const path = join(place.data, 'lock')
  const holder = await place.open()
  const whole = readFileSync(path)
  for (const byte of [0, 12, whole.length / 2 - 1, whole.length / 2 + 3, whole.length - 1]) {
    const flipped = Buffer.from(whole)
    flipped[byte] = (flipped[byte] as number) ^ 4
    writeFileSync(path, flipped)
    await assert.rejects(place.open(), code('LVT_DATA_IN_USE'), `byte ${byte}`)
  }
  writeFileSync(path, whole.subarray(0, 10))
  await assert.rejects(place.open(), code('LVT_DATA_DAMAGED'))
  await holder.close()
  await (await place.open()).close()
  place.remove()
})

test('a store that could not be opened holds nothing', async () => {
  const { place, path } = await closedPlace()
  for (const name of ['catalog.a', 'catalog.b']) writeFileSync(join(place.data, name), 'x\ny\n')
  await assert.rejects(place.open(), code('LVT_DATA_DAMAGED'))
  assert.match(readFileSync(path, 'latin1'), /"pid":0,/)
  place.remove()
})
