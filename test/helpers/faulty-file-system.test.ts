/**
 * The model of a failing file system is itself put to the test: it is as good as a real one while nothing fails, and
 * each fault does what it says, no less and no more. Every round prints its seed when it fails.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readFile, readFullSync, replaceFile, writeAll, writeAllSync } from '../../src/storage/log/file-io.js'
import { type FileSystem, nodeFileSystem, type OpenMode, type RawFile } from '../../src/storage/log/file-system.js'
import { Crash } from './faulty-errors.js'
import { FaultyFileSystem } from './faulty-file-system.js'
import type { FaultOptions } from './faulty-machine.js'
import { below, SeededRandom } from './faulty-random.js'
import { bytesOf, codeOf, keysOf, outcomes, SECTOR, sectorsOf, someTurns, withFile } from './faulty-rounds.js'

test('does as the real file system does while nothing fails', async () => {
  const real = mkdtempSync(join(tmpdir(), 'leveret-faulty-'))
  try {
    await outcomes(30, (seed) => sameAsReal(seed, `${real}/${seed}`))
  } finally {
    rmSync(real, { recursive: true })
  }
})

async function sameAsReal(seed: number, real: string): Promise<void> {
  const random = new SeededRandom(seed)
  const faulty = new FaultyFileSystem({ seed })
  const sides = [
    { fs: nodeFileSystem as FileSystem, root: real, handles: [] as RawFile[] },
    { fs: faulty as FileSystem, root: '/data', handles: [] as RawFile[] },
  ]
  for (const { fs, root } of sides) fs.makeDirectory(`${root}/a/b`)
  const path = () => `${['', '/a', '/a/b', '/none'][below(random, 4)]}/${'xyz'[below(random, 3)]}`
  const steps: string[] = []
  for (let step = 0; step < 80; step++) {
    const action = makeAction(random, path)
    const results: unknown[] = []
    for (const side of sides) results.push(await resultOf(() => action.run(side.fs, side.root, side.handles)))
    steps.push(`${action.text}: ${results[0]}`)
    assert.equal(results[1], results[0], steps.join('\n'))
  }
  for (const { handles } of sides) for (const handle of handles) handle.close()
  assert.equal(faulty.openHandles, 0)
}

type Run = (fs: FileSystem, root: string, handles: RawFile[]) => unknown

function makeAction(random: SeededRandom, path: () => string): { text: string; run: Run } {
  const [one, two] = [path(), path()]
  const pick = below(random, 1_000)
  const position = below(random, 3_000)
  const bytes = Buffer.from(random.id(below(random, 700)))
  const mode = (['read', 'write', 'create'] as const)[below(random, 3)] as OpenMode
  const withHandle = (run: (file: RawFile) => unknown): Run => {
    return (_fs, _root, handles) => (handles.length === 0 ? 'none' : run(handles[pick % handles.length] as RawFile))
  }
  const read = (file: RawFile) => {
    const target = Buffer.alloc(bytes.length)
    return `${file.readSync(target, position)} ${target.toString('hex')}`
  }
  const actions: Record<string, Run> = {
    open: (fs, root, handles) => void handles.push(fs.open(root + one, mode)),
    exists: (fs, root) => fs.exists(root + one),
    size: (fs, root) => fs.exists(root + one) && fs.size(root + one),
    list: (fs, root) => fs.list(root + one.slice(0, -2)).sort(),
    rename: (fs, root) => fs.rename(root + one, root + two),
    remove: (fs, root) => fs.remove(root + one),
    tree: (fs, root) => pick % 8 === 0 && fs.removeTree(`${root}/a/b`),
    make: (fs, root) => fs.makeDirectory(`${root}/a/b`),
    content: (fs, root) => readFile(fs, root + one)?.toString('hex'),
    syncDirectory: (fs, root) => fs.syncDirectory(root + one.slice(0, -2)),
    write: withHandle((file) => file.writeSync([bytes, bytes], position)),
    writeLater: withHandle((file) => file.write([bytes], position)),
    read: withHandle(read),
    readLater: withHandle(async (file) => [await file.read(bytes, position), bytes.toString('hex')].join()),
    length: withHandle((file) => file.size()),
    truncate: withHandle((file) => file.truncate(position)),
    sync: withHandle((file) => file.sync()),
  }
  const names = Object.keys(actions)
  const name = names[below(random, names.length)] as string
  return { text: `${name} ${one} ${two} ${mode} ${pick} ${position}+${bytes.length}`, run: actions[name] as Run }
}

async function resultOf(call: () => unknown): Promise<string> {
  try {
    return String(await call())
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? `${error}`
  }
}

test('the same seed gives the same run, and another seed another one', async () => {
  const run = async (seed: number) => {
    const { fs, file } = withFile(bytesOf('a', 4_000), { seed, shortWrites: 0.5, interrupted: 0.2, again: 0.1 })
    const order: string[] = []
    const writes = Array.from({ length: 8 }, async (_, index) => {
      await writeAll(file, [bytesOf(String(index), 900)], index * 300)
      order.push(String(index))
    })
    await Promise.all(writes)
    fs.powerLoss()
    return `${order.join('')} ${JSON.stringify(fs.ops)} ${fs.contents('/d/f').toString('latin1')}`
  }
  const runs = await outcomes(40, run)
  assert.ok(runs.size > 35, `${runs.size} different runs`)
  for (let seed = 0; seed < 40; seed++) assert.equal(runs.get(await run(seed)), 1)
})

test('handles are dead after a loss of power, and the file system is not', async () => {
  const { fs, file } = withFile(bytesOf('a', 3), {})
  fs.powerLoss()
  for (const call of [() => file.size(), () => file.writeSync([], 0), () => file.truncate(0), () => file.close()])
    assert.throws(call, { code: 'EBADF' })
  await assert.rejects(file.write([bytesOf('b', 1)], 0), { code: 'EBADF' })
  await assert.rejects(file.read(Buffer.alloc(1), 0), { code: 'EBADF' })
  await assert.rejects(file.sync(), { code: 'EBADF' })
  assert.equal(fs.openHandles, 0)
  const again = fs.open('/d/f', 'write')
  assert.equal(again.writeSync([bytesOf('b', 1)], 0), 1)
  assert.equal(`${fs.contents('/d/f')}`, 'baa')
})

test('a killed process leaves behind all that it wrote, synced or not, and its handles are dead', async () => {
  await outcomes(50, async (seed) => {
    const fs = new FaultyFileSystem({ seed })
    fs.makeDirectory('/d')
    const file = fs.open('/d/f', 'create')
    file.writeSync([bytesOf('a', 5_000)], 0)
    const sync = file.sync()
    fs.kill()
    await assert.rejects(sync, { code: 'EBADF' })
    assert.throws(() => file.size(), { code: 'EBADF' })
    assert.deepEqual(fs.contents('/d/f'), bytesOf('a', 5_000))
  })
})

test('what a killed process did not sync is still lost with the power, unless the next one syncs it', async () => {
  const run = async (seed: number, isSynced: boolean) => {
    const { fs, file } = withFile(bytesOf('a', SECTOR), { seed })
    file.writeSync([bytesOf('b', SECTOR)], 0)
    file.sync().catch(() => {})
    fs.kill()
    if (isSynced) await fs.open('/d/f', 'write').sync()
    fs.powerLoss()
    return sectorsOf(fs.contents('/d/f'))
  }
  assert.deepEqual(keysOf(await outcomes(60, (seed) => run(seed, false))), ['a', 'b'])
  assert.deepEqual(keysOf(await outcomes(60, (seed) => run(seed, true))), ['b'])
})

test('a write that was on its way when the process was killed happens, or in part, or not at all', async () => {
  const seen = await outcomes(200, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', 100), { seed })
    const write = file.write([bytesOf('b', 40), bytesOf('b', 60)], 0)
    fs.kill()
    await assert.rejects(write, { code: 'EBADF' })
    const content = fs.contents('/d/f').toString('latin1')
    assert.match(content, /^b*a*$/)
    const written = content.lastIndexOf('b') + 1
    return written === 0 ? 'none' : written === 100 ? 'all' : 'part'
  })
  assert.deepEqual(keysOf(seen), ['all', 'none', 'part'])
})

test('the same is true of a write that was on its way when the process crashed, and it happens once', async () => {
  const seen = await outcomes(200, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', 10), { seed })
    const write = file.write([bytesOf('b', 10)], 0)
    fs.beforeOp(() => {
      throw new Crash()
    })
    assert.throws(() => fs.exists('/d/f'), Crash)
    fs.beforeOp(null)
    await assert.rejects(write, Crash)
    assert.equal(`${fs.contents('/d/f')}`, 'aaaaaaaaaa')
    fs.kill()
    const written = `${fs.contents('/d/f')}`.lastIndexOf('b') + 1
    fs.open('/d/f', 'write').writeSync([bytesOf('c', 10)], 0)
    fs.kill()
    assert.equal(`${fs.contents('/d/f')}`, 'cccccccccc')
    return written === 0 ? 'none' : written === 10 ? 'all' : 'part'
  })
  assert.deepEqual(keysOf(seen), ['all', 'none', 'part'])
})

test('a sync that hung when the process was killed keeps the next process from nothing', async () => {
  const { fs, file } = withFile(bytesOf('a', 3), {})
  fs.beforeSync(() => new Promise(() => {}))
  file.writeSync([bytesOf('b', 3)], 0)
  void file.sync()
  file.close()
  fs.kill()
  fs.beforeSync(null)
  let isEnded = false
  void fs
    .open('/d/f', 'write')
    .sync()
    .then(() => {
      isEnded = true
    })
  await someTurns()
  assert.ok(isEnded)
  assert.equal(`${fs.durableContents('/d/f')}`, 'bbb')
})

test('the view of a dead process reaches nothing, whatever it still tries', async () => {
  const fs = new FaultyFileSystem()
  const zombie = fs.process()
  zombie.makeDirectory('/d')
  zombie.open('/d/f', 'create').close()
  fs.kill()
  const calls = [
    () => zombie.remove('/d/f'),
    () => zombie.removeTree('/d'),
    () => zombie.rename('/d/f', '/d/g'),
    () => zombie.open('/d/f', 'write'),
    () => zombie.makeDirectory('/e'),
  ]
  for (const call of calls) assert.throws(call, { code: 'EBADF' })
  await assert.rejects(zombie.syncDirectory('/d'), { code: 'EBADF' })
  assert.deepEqual(fs.process().list('/d'), ['f'])
})

test('short and interrupted calls leave whole reads and writes byte-exact', async () => {
  const seen = await outcomes(200, async (seed) => {
    const faults = { shortWrites: 0.4, shortReads: 0.4, interrupted: 0.2, again: 0.2 }
    const { fs, file } = withFile(Buffer.alloc(0), { seed, ...faults })
    const content = Buffer.from(new SeededRandom(seed).id(500), 'latin1')
    writeAllSync(file, [content.subarray(0, 300), content.subarray(300, 301), content.subarray(301)], 0)
    await writeAll(file, [content], content.length)
    const read = Buffer.alloc(2_000)
    assert.equal(readFullSync(file, read, 0), 2_000)
    assert.deepEqual(read, Buffer.concat([content, content]))
    return fs.ops.filter(({ name }) => name === 'write').length
  })
  assert.ok(seen.size > 4)
})

test('each of these faults happens, and only to the files it is meant for', async () => {
  const probabilities: FaultOptions[] = [{ shortWrites: 1 }, { shortReads: 1 }, { interrupted: 1 }, { again: 1 }]
  const seen: string[] = []
  for (const options of probabilities) {
    const fs = new FaultyFileSystem({ ...options, only: /\.log$/ })
    for (const path of ['/f.log', '/f.index']) {
      fs.put(path, bytesOf('a', 10))
      const file = fs.open(path, 'write')
      const write = codeOf(() => assert.equal(file.writeSync([bytesOf('b', 10)], 0), 10))
      const read = codeOf(() => assert.equal(file.readSync(Buffer.alloc(10), 0), 10))
      seen.push(`${write} ${read}`)
    }
  }
  const [bad, good] = ['ERR_ASSERTION', 'ok ok']
  assert.deepEqual(seen, [`${bad} ok`, good, `ok ${bad}`, good, 'EINTR EINTR', good, 'EAGAIN EAGAIN', good])
})

test('a planned error strikes the calls it names: the n-th of a file, so many times, until it is forgotten', () => {
  const fs = new FaultyFileSystem()
  fs.put('/a', bytesOf('a', 4))
  fs.put('/b', bytesOf('b', 4))
  const [a, b] = [fs.open('/a', 'write'), fs.open('/b', 'write')]
  fs.plan({ op: 'read', code: 'EIO', path: /b/, nth: 2, times: 2 })
  const read = (file: RawFile) => codeOf(() => file.readSync(Buffer.alloc(4), 0))
  assert.deepEqual([a, a, a, b, b, b, b].map(read), ['ok', 'ok', 'ok', 'ok', 'EIO', 'EIO', 'ok'])
  fs.plan({ op: 'rename', code: 'EACCES', path: /^\/c$/, times: Number.POSITIVE_INFINITY })
  assert.deepEqual(
    ['/d', '/c', '/c'].map((to) => codeOf(() => fs.rename('/a', to) ?? fs.rename(to, '/a'))),
    ['ok', 'EACCES', 'EACCES'],
  )
  fs.forgetPlans()
  assert.equal(
    codeOf(() => fs.rename('/a', '/c')),
    'ok',
  )
})

test('a write that fails may have written a part of it', async () => {
  const seen = await outcomes(60, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', 10), { seed })
    fs.plan({ op: 'write', code: 'EIO' })
    await assert.rejects(file.write([bytesOf('b', 10)], 0), { code: 'EIO', syscall: 'write', path: '/d/f' })
    const content = `${fs.contents('/d/f')}`
    assert.match(content, /^b{0,9}a+$/)
    return content.startsWith('b')
  })
  assert.deepEqual(keysOf(seen), ['false', 'true'])
})

test('a full device takes what fits, then refuses, still serves reads, and heals when there is room', async () => {
  const seen = await outcomes(60, (seed) => {
    const { fs, file } = withFile(bytesOf('a', 100), { seed, capacityBytes: 150 })
    const first = resultOfWrite(file, bytesOf('b', 80), 100)
    assert.ok(fs.usedBytes <= 150)
    if (first === '50') assert.equal(resultOfWrite(file, bytesOf('b', 30), 150), 'ENOSPC')
    assert.equal(file.readSync(Buffer.alloc(100), 0), 100)
    assert.equal(resultOfWrite(file, bytesOf('c', 100), 0), '100', 'what has room already needs none')
    fs.capacityBytes = 200
    assert.equal(resultOfWrite(file, bytesOf('b', 80), 100), '80')
    return first
  })
  assert.deepEqual(keysOf(seen), ['50', 'ENOSPC'])
})

function resultOfWrite(file: RawFile, bytes: Uint8Array, position: number): string {
  try {
    return String(file.writeSync([bytes], position))
  } catch (error) {
    return (error as NodeJS.ErrnoException).code as string
  }
}

test('removing a file frees its room once nobody has it open', () => {
  const { fs, file } = withFile(bytesOf('a', 100), { capacityBytes: 100 })
  fs.open('/d/f', 'read').close()
  fs.remove('/d/f')
  assert.equal(fs.usedBytes, 100)
  file.close()
  assert.equal(fs.usedBytes, 0)
})

test('on a full device a new file or directory may fail', async () => {
  for (const make of [
    (fs: FaultyFileSystem) => fs.open('/d/new', 'create'),
    (fs: FaultyFileSystem) => fs.makeDirectory('/d/new'),
  ]) {
    const seen = await outcomes(40, (seed) => {
      const { fs } = withFile(bytesOf('a', 100), { seed, capacityBytes: 100 })
      const code = codeOf(() => make(fs))
      assert.equal(fs.exists('/d/new'), code === 'ok')
      return code
    })
    assert.deepEqual(keysOf(seen), ['ENOSPC', 'ok'])
  }
})

test('after a crash every call throws until the machine is told what became of it', async () => {
  const { fs, file } = withFile(bytesOf('a', 3), {})
  const flying = file.write([bytesOf('b', 3)], 0)
  fs.beforeOp(() => {
    throw new Crash()
  })
  assert.throws(() => file.writeSync([bytesOf('c', 3)], 0), Crash)
  fs.beforeOp(null)
  const calls = [() => file.size(), () => fs.exists('/d/f'), () => fs.removeTree('/none'), () => fs.makeDirectory('/d')]
  for (const call of [...calls, () => fs.open('/d/f', 'read')]) assert.throws(call, Crash)
  await assert.rejects(flying, Crash)
  await assert.rejects(file.sync(), Crash)
  await assert.rejects(fs.syncDirectory('/d'), Crash)
  fs.kill()
  assert.ok(fs.exists('/d/f'))
  assert.doesNotMatch(`${fs.contents('/d/f')}`, /c/)
})

test('a crash within a write leaves any part of it', async () => {
  const seen = await outcomes(100, (seed) => {
    const { fs, file } = withFile(bytesOf('a', 10), { seed })
    fs.beforeOp(() => {
      throw new Crash('within')
    })
    assert.throws(() => file.writeSync([bytesOf('b', 10)], 0), Crash)
    fs.kill()
    const written = `${fs.contents('/d/f')}`.lastIndexOf('b') + 1
    return written === 0 ? 'none' : written === 10 ? 'all' : 'part'
  })
  assert.deepEqual(keysOf(seen), ['all', 'none', 'part'])
})

test('another error that the hook throws fails only that call', () => {
  const { fs, file } = withFile(bytesOf('a', 3), {})
  fs.beforeOp(({ name }) => {
    if (name === 'truncate') throw new RangeError('not today')
  })
  assert.throws(() => file.truncate(1), RangeError)
  assert.equal(file.size(), 3)
})

/** Crash before every call of a replacement, and after the last; what is found afterwards, over many seeds. */
async function crashEverywhere(replace: (fs: FileSystem) => Promise<void>, end: 'powerLoss' | 'kill') {
  const found = new Set<string>()
  let crashes = 0
  for (let seed = 0; seed < 40; seed++) {
    let isDone = false
    for (let at = 0; !isDone; at++) {
      const { fs } = withFile(bytesOf('o', 700), { seed, shortWrites: 0.3 })
      const first = fs.opCount
      fs.beforeOp(({ index }) => {
        if (index === first + at) throw new Crash('within')
      })
      try {
        await replace(fs.process())
        isDone = true
      } catch (error) {
        assert.ok(error instanceof Crash, `seed ${seed}, call ${at}: ${error}`)
        crashes++
      }
      fs.beforeOp(null)
      fs[end]()
      const content = sectorsOf(readFile(fs.process(), '/d/f') ?? Buffer.from('-'))
      found.add(isDone ? `done: ${content}` : content)
    }
  }
  assert.ok(crashes >= 40)
  return [...found].sort()
}

test('a crash at any call of a careful replacement leaves the old file or the new one', async () => {
  const careful = (fs: FileSystem) => replaceFile(fs, '/d/f', bytesOf('n', 900))
  assert.deepEqual(await crashEverywhere(careful, 'powerLoss'), ['done: nn', 'nn', 'oo'])
  assert.deepEqual(await crashEverywhere(careful, 'kill'), ['done: nn', 'nn', 'oo'])
})

test('a careless replacement is found out', async () => {
  const careless = async (fs: FileSystem) => {
    const file = fs.open('/d/f.new', 'create')
    writeAllSync(file, [bytesOf('n', 900)], 0)
    file.close()
    fs.rename('/d/f.new', '/d/f')
    await fs.syncDirectory('/d')
  }
  const unsynced = await crashEverywhere(careless, 'powerLoss')
  assert.ok(unsynced.includes('done: ') && unsynced.includes('done: n.'), unsynced.join())
  const inPlace = async (fs: FileSystem) => writeAllSync(fs.open('/d/f', 'write'), [bytesOf('n', 900)], 0)
  assert.ok((await crashEverywhere(inPlace, 'kill')).includes('?o'))
})

test('completions of calls made together come in many orders, each of them soon and without a timer', async () => {
  const seen = await outcomes(100, async (seed) => {
    const { file } = withFile(Buffer.alloc(0), { seed })
    const order: string[] = []
    for (const letter of 'abc') void file.write([bytesOf(letter, 1)], 0).then(() => order.push(letter))
    await someTurns()
    return order.join('')
  })
  assert.deepEqual(keysOf(seen), ['abc', 'acb', 'bac', 'bca', 'cab', 'cba'])
})

test('an asynchronous write takes its bytes at some time before it resolves', async () => {
  const seen = await outcomes(60, async (seed) => {
    const { fs, file } = withFile(Buffer.alloc(0), { seed })
    const bytes = bytesOf('a', 1)
    const write = file.write([bytes], 0)
    await Promise.resolve()
    bytes.fill('b')
    await write
    return fs.contents('/d/f')
  })
  assert.deepEqual(keysOf(seen), ['a', 'b'])
})

test('the trace names the newest calls in their order, and is bounded', async () => {
  const { fs, file } = withFile(bytesOf('a', 3), { opsMax: 4 })
  for (let call = 0; call < 100; call++) file.size()
  file.writeSync([bytesOf('b', 2), bytesOf('c', 1)], 7)
  await file.sync()
  fs.rename('/d/f', '/d/g')
  file.close()
  assert.deepEqual(
    fs.ops.map(({ name, path, position, length, to }) => [name, path, position, length, to]),
    [
      ['write', '/d/f', 7, 3, ''],
      ['sync', '/d/f', 0, 0, ''],
      ['rename', '/d/f', 0, 0, '/d/g'],
      ['close', '/d/g', 0, 0, ''],
    ],
  )
  assert.equal(fs.ops.at(-1)?.index, fs.opCount - 1)
  assert.equal(fs.opCount, 105)
})

test('a test may damage files directly, and the damage outlasts a loss of power', () => {
  const { fs } = withFile(Buffer.from([0, 0, 0, 0]), {})
  const calls = fs.opCount
  fs.flipBit('/d/f', 8 + 3)
  assert.deepEqual([...fs.contents('/d/f')], [0, 8, 0, 0])
  fs.overwrite('/d/f', 3, Buffer.from([5, 6]))
  fs.copyFile('/d/f', '/copy')
  fs.cut('/d/f', 2)
  fs.put('/other', Buffer.from([9]))
  assert.deepEqual(fs.files(), ['/copy', '/d/f', '/other'])
  fs.contents('/copy').fill(1)
  assert.equal(fs.opCount, calls)
  fs.powerLoss()
  assert.deepEqual([...fs.contents('/copy')], [0, 8, 0, 5, 6])
  assert.deepEqual([...fs.contents('/other')], [9])
  assert.deepEqual([...fs.contents('/d/f')], [0, 8])
  assert.throws(() => fs.flipBit('/other', 8), RangeError)
  assert.throws(() => fs.cut('/other', 2), RangeError)
})

test('a snapshot is restored any number of times, with what was durable and what was not', async () => {
  const { fs, file } = withFile(bytesOf('a', SECTOR), { seed: 7 })
  file.writeSync([bytesOf('b', SECTOR)], 0)
  fs.open('/d/unsynced', 'create')
  const snapshot = fs.snapshot()
  const seen = await outcomes(100, () => {
    fs.restore(snapshot)
    assert.throws(() => file.size(), { code: 'EBADF' })
    assert.deepEqual(fs.files(), ['/d/f', '/d/unsynced'])
    assert.equal(sectorsOf(fs.contents('/d/f')), 'b')
    assert.equal(sectorsOf(fs.durableContents('/d/f') as Buffer), 'a')
    fs.powerLoss()
    const found = `${sectorsOf(fs.contents('/d/f'))} ${fs.exists('/d/unsynced')}`
    fs.overwrite('/d/f', 0, bytesOf('z', 1_000))
    fs.removeTree('/d')
    return found
  })
  assert.deepEqual(keysOf(seen), ['a false', 'a true', 'b false', 'b true'])
})
