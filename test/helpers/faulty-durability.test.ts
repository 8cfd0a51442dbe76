/**
 * What the fault-injecting file system keeps and loses with the power: data, lengths and names, with syncs that ended,
 * were on their way, were slow, or failed. Every round prints its seed when it fails.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultyFileSystem } from './faulty-file-system.js'
import { below, SeededRandom } from './faulty-random.js'
import { bytesOf, keysOf, outcomes, SECTOR, sectorsOf, someTurns, withFile } from './faulty-rounds.js'

async function makeDurableDirectory(fs: FaultyFileSystem): Promise<void> {
  fs.makeDirectory('/d')
  await fs.syncDirectory('/')
}

test('what a sync that ended covers survives a loss of power, length included', async () => {
  await outcomes(200, async (seed) => {
    const random = new SeededRandom(seed)
    const { fs, file } = withFile(bytesOf('a', 3_000), { seed })
    for (let write = 0; write < 5; write++) {
      file.writeSync([Buffer.from(random.id(below(random, 600)))], below(random, 5_000))
      if (below(random, 4) === 0) file.truncate(below(random, 6_000))
    }
    await file.sync()
    const content = fs.contents('/d/f')
    assert.deepEqual(fs.durableContents('/d/f'), content)
    fs.powerLoss()
    assert.deepEqual(fs.contents('/d/f'), content)
  })
})

test('of what was not synced each sector is kept or dropped, within one write and across writes', async () => {
  const seen = await outcomes(400, (seed) => {
    const { fs, file } = withFile(bytesOf('a', 4 * SECTOR), { seed })
    file.writeSync([bytesOf('b', SECTOR), bytesOf('b', SECTOR)], 0)
    file.writeSync([bytesOf('c', 2 * SECTOR)], 2 * SECTOR)
    fs.powerLoss()
    return sectorsOf(fs.contents('/d/f'))
  })
  const all = ['aa', 'ab', 'ba', 'bb'].flatMap((first) => ['aa', 'ac', 'ca', 'cc'].map((second) => first + second))
  assert.deepEqual(keysOf(seen), all.sort())
})

test('a sector is written whole: with an unaligned write go its durable neighbours', async () => {
  const seen = await outcomes(100, (seed) => {
    const { fs, file } = withFile(bytesOf('a', 2 * SECTOR), { seed })
    file.writeSync([bytesOf('b', 200)], SECTOR - 100)
    fs.powerLoss()
    const content = fs.contents('/d/f')
    return [content.toString('latin1', 411, 413), content.toString('latin1', 611, 613)].join()
  })
  assert.deepEqual(keysOf(seen), ['aa,aa', 'aa,ba', 'ab,aa', 'ab,ba'])
})

test('a file that grew ends anywhere between both lengths, and has zeros where its sectors were dropped', async () => {
  const lengths = new Set<number>()
  const seen = await outcomes(400, (seed) => {
    const { fs, file } = withFile(bytesOf('a', SECTOR), { seed })
    file.writeSync([bytesOf('b', 3 * SECTOR)], SECTOR)
    fs.powerLoss()
    const content = fs.contents('/d/f')
    lengths.add(content.length)
    assert.ok(content.length >= SECTOR && content.length <= 4 * SECTOR)
    assert.match(sectorsOf(content), /^a[b.]{0,3}$/)
    return content.length === 4 * SECTOR ? sectorsOf(content) : 'shorter'
  })
  assert.ok(lengths.has(SECTOR) && lengths.has(4 * SECTOR) && lengths.size > 20)
  assert.equal(seen.size, 9)
})

test('a file that was cut may be long again until it is synced', async () => {
  const cut = async (seed: number, isSynced: boolean) => {
    const { fs, file } = withFile(bytesOf('a', 1_000), { seed })
    file.truncate(10)
    if (isSynced) await file.sync()
    fs.powerLoss()
    return fs.contents('/d/f').length
  }
  const lengths = keysOf(await outcomes(100, (seed) => cut(seed, false))).map(Number)
  assert.equal(Math.min(...lengths), 10)
  assert.equal(Math.max(...lengths), 1_000)
  assert.deepEqual(keysOf(await outcomes(50, (seed) => cut(seed, true))), ['10'])
})

test('what was cut off and what was never written read as zeros, before and after a loss of power', async () => {
  await outcomes(50, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', 2_000), { seed })
    file.truncate(100)
    file.writeSync([bytesOf('b', 100)], 3_000)
    file.truncate(70_000_000)
    await file.sync()
    assert.ok(fs.usedBytes < 4_000)
    fs.powerLoss()
    assert.equal(fs.size('/d/f'), 70_000_000)
    fs.cut('/d/f', 4_000)
    const expected = Buffer.alloc(4_000)
    expected.fill('a', 0, 100).fill('b', 3_000, 3_100)
    assert.deepEqual(fs.contents('/d/f'), expected)
  })
})

test('what is written while a sync runs is not covered by it', async () => {
  const seen = await outcomes(200, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', 2 * SECTOR), { seed })
    file.writeSync([bytesOf('b', 2 * SECTOR)], 0)
    const sync = file.sync()
    file.writeSync([bytesOf('c', SECTOR)], SECTOR)
    await sync
    assert.equal(sectorsOf(fs.durableContents('/d/f') as Buffer), 'bb')
    fs.powerLoss()
    return sectorsOf(fs.contents('/d/f'))
  })
  assert.deepEqual(keysOf(seen), ['bb', 'bc'])
})

test('a sync that has not ended has kept some sectors, or all, or none', async () => {
  const seen = await outcomes(200, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', 2 * SECTOR), { seed })
    file.writeSync([bytesOf('b', 2 * SECTOR)], 0)
    const sync = file.sync()
    fs.powerLoss()
    await assert.rejects(sync, { code: 'EBADF' })
    return sectorsOf(fs.contents('/d/f'))
  })
  assert.deepEqual(keysOf(seen), ['aa', 'ab', 'ba', 'bb'])
})

test('a sync also answers for what an earlier sync is still writing', async () => {
  await outcomes(100, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', SECTOR), { seed })
    const other = fs.open('/d/f', 'write')
    file.writeSync([bytesOf('b', SECTOR)], 0)
    const first = file.sync()
    await other.sync()
    assert.equal(sectorsOf(fs.durableContents('/d/f') as Buffer), 'b')
    await first
  })
})

test('a sync does not end before an earlier one of the same file', async () => {
  const { fs, file } = withFile(bytesOf('a', 3), {})
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  fs.beforeSync(() => gate)
  file.writeSync([bytesOf('b', 3)], 0)
  const order: string[] = []
  const first = file.sync().then(() => order.push('first'))
  fs.beforeSync(null)
  const second = file.sync().then(() => order.push('second'))
  await someTurns()
  assert.deepEqual(order, [])
  release()
  await Promise.all([first, second])
  assert.equal(`${fs.durableContents('/d/f')}`, 'bbb')
})

test('a new file may vanish, synced or not, until its directory is synced', async () => {
  const create = async (seed: number, syncs: { file: boolean; directory: boolean }) => {
    const fs = new FaultyFileSystem({ seed })
    await makeDurableDirectory(fs)
    const file = fs.open('/d/f', 'create')
    file.writeSync([bytesOf('a', 10)], 0)
    if (syncs.file) await file.sync()
    if (syncs.directory) await fs.syncDirectory('/d')
    fs.powerLoss()
    return fs.exists('/d/f') ? fs.contents('/d/f').length === 10 && fs.contents('/d/f').every((b) => b === 97) : 'gone'
  }
  const run = async (file: boolean, directory: boolean) =>
    keysOf(await outcomes(100, (seed) => create(seed, { file, directory })))
  assert.deepEqual(await run(false, false), ['false', 'gone', 'true'])
  assert.deepEqual(await run(true, false), ['gone', 'true'])
  assert.deepEqual(await run(false, true), ['false', 'true'])
  assert.deepEqual(await run(true, true), ['true'])
})

test('a directory that vanishes takes with it what was synced in it', async () => {
  const seen = await outcomes(100, async (seed) => {
    const fs = new FaultyFileSystem({ seed })
    fs.makeDirectory('/a/b')
    const file = fs.open('/a/b/f', 'create')
    await file.sync()
    await fs.syncDirectory('/a/b')
    await fs.syncDirectory('/a')
    fs.powerLoss()
    return fs.files().join()
  })
  assert.deepEqual(keysOf(seen), ['', '/a/b/f'])
})

test('a rename leaves the old or the new, never both and never neither, and the new once it is synced', async () => {
  const rename = async (seed: number, isSynced: boolean) => {
    const fs = new FaultyFileSystem({ seed })
    fs.put('/d/old', bytesOf('o', 1))
    fs.put('/d/f', bytesOf('f', 1))
    fs.rename('/d/old', '/d/f')
    if (isSynced) await fs.syncDirectory('/d')
    fs.powerLoss()
    return fs.files().map((path) => `${path}=${fs.contents(path)}`)
  }
  const seen = await outcomes(100, (seed) => rename(seed, false))
  assert.deepEqual(keysOf(seen), ['/d/f=f,/d/old=o', '/d/f=o'])
  assert.deepEqual(keysOf(await outcomes(30, (seed) => rename(seed, true))), ['/d/f=o'])
})

test('renames of one name happen in their order, across directories too', async () => {
  const seen = await outcomes(200, (seed) => {
    const fs = new FaultyFileSystem({ seed })
    fs.put('/d/a', bytesOf('a', 1))
    fs.put('/e/keep', bytesOf('k', 1))
    fs.rename('/d/a', '/d/b')
    fs.rename('/d/b', '/e/c')
    fs.powerLoss()
    return fs.files().join()
  })
  assert.deepEqual(keysOf(seen), ['/d/a,/e/keep', '/d/b,/e/keep', '/e/c,/e/keep'])
})

test('a sync of one directory brings along the earlier half of a move from another', async () => {
  const seen = await outcomes(50, async (seed) => {
    const fs = new FaultyFileSystem({ seed })
    fs.put('/d/a', bytesOf('a', 1))
    fs.put('/e/keep', bytesOf('k', 1))
    fs.rename('/d/a', '/d/b')
    fs.rename('/d/b', '/e/c')
    await fs.syncDirectory('/e')
    fs.powerLoss()
    return fs.files().join()
  })
  assert.deepEqual(keysOf(seen), ['/e/c,/e/keep'])
})

test('what happens in a directory while its sync runs is not covered by it', async () => {
  const seen = await outcomes(50, async (seed) => {
    const { fs } = withFile(bytesOf('a', 1), { seed })
    fs.open('/d/before', 'create')
    const sync = fs.syncDirectory('/d')
    fs.open('/d/during', 'create')
    await sync
    fs.powerLoss()
    return fs.files().join()
  })
  assert.deepEqual(keysOf(seen), ['/d/before,/d/during,/d/f', '/d/before,/d/f'])
})

test('a removed file may be back with its content until its directory is synced', async () => {
  const remove = async (seed: number, isSynced: boolean) => {
    const { fs } = withFile(bytesOf('a', 3), { seed })
    fs.remove('/d/f')
    assert.equal(fs.exists('/d/f'), false)
    if (isSynced) await fs.syncDirectory('/d')
    fs.powerLoss()
    return fs.exists('/d/f') ? fs.contents('/d/f') : 'gone'
  }
  assert.deepEqual(keysOf(await outcomes(50, (seed) => remove(seed, false))), ['aaa', 'gone'])
  assert.deepEqual(keysOf(await outcomes(50, (seed) => remove(seed, true))), ['gone'])
})

test('of a tree that was being removed, any part may be back', async () => {
  const seen = await outcomes(200, (seed) => {
    const fs = new FaultyFileSystem({ seed })
    fs.put('/d/t/a', bytesOf('a', 1))
    fs.put('/d/t/b', bytesOf('b', 1))
    fs.put('/d/keep', bytesOf('k', 1))
    fs.removeTree('/d/t')
    fs.powerLoss()
    return fs.files().join()
  })
  assert.deepEqual(keysOf(seen), ['/d/keep', '/d/keep,/d/t/a', '/d/keep,/d/t/a,/d/t/b', '/d/keep,/d/t/b'])
})

test('a directory whose sync failed may be synced again', async () => {
  const fs = new FaultyFileSystem()
  await makeDurableDirectory(fs)
  fs.plan({ op: 'sync-directory', code: 'EIO' })
  fs.open('/d/f', 'create')
  await assert.rejects(fs.syncDirectory('/d'), { code: 'EIO' })
  assert.equal(fs.durableContents('/d/f'), null)
  await fs.syncDirectory('/d')
  assert.deepEqual(fs.durableContents('/d/f'), Buffer.alloc(0))
})

test('a sync that failed makes nothing durable, and neither does the next one, but for what was written again', async () => {
  await outcomes(50, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', 2 * SECTOR), { seed })
    fs.plan({ op: 'sync', code: 'EIO', nth: 2 })
    await file.sync()
    file.writeSync([bytesOf('b', 3 * SECTOR)], 0)
    await assert.rejects(file.sync(), { code: 'EIO' })
    await file.sync()
    assert.equal(sectorsOf(fs.contents('/d/f')), 'bbb')
    assert.equal(sectorsOf(fs.durableContents('/d/f') as Buffer), 'aa')
    file.writeSync([bytesOf('c', 10)], 2 * SECTOR)
    await file.sync()
    fs.powerLoss()
    assert.equal(sectorsOf(fs.contents('/d/f')), 'aa?')
  })
})

test('a sync that failed and was not repeated loses all of it with the power', async () => {
  const seen = await outcomes(30, async (seed) => {
    const { fs, file } = withFile(bytesOf('a', 2 * SECTOR), { seed })
    fs.plan({ op: 'sync', code: 'EIO' })
    file.writeSync([bytesOf('b', 3 * SECTOR)], 0)
    await assert.rejects(file.sync(), { code: 'EIO' })
    fs.powerLoss()
    return sectorsOf(fs.contents('/d/f'))
  })
  assert.deepEqual(keysOf(seen), ['aa'])
})

test('a slow sync takes effect when the device lets it, and holds up nothing else', async () => {
  const { fs, file } = withFile(bytesOf('a', 3), {})
  let release = () => {}
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  fs.beforeSync((path) => (path === '/d/f' ? gate : Promise.resolve()))
  file.writeSync([bytesOf('b', 3)], 0)
  let isEnded = false
  const sync = file.sync().then(() => {
    isEnded = true
  })
  await fs.syncDirectory('/d')
  assert.equal(await file.write([bytesOf('c', 1)], 0), 1)
  await someTurns()
  assert.equal(isEnded, false)
  assert.equal(`${fs.durableContents('/d/f')}`, 'aaa')
  release()
  await sync
  assert.equal(`${fs.durableContents('/d/f')}`, 'bbb')
})
