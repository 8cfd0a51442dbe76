/**
 * What the Floki dialect promises of its queues when the process dies in any call to the file system, by a loss of power or
 * a kill: what was answered holds, and what was not has happened whole or not at all. Three lives a seed; LEVERET_ROUNDS and
 * LEVERET_SEED choose how many seeds, and the first.
 */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../../src/common/random.js'
import { Crash } from '../../helpers/faulty-errors.js'
import { FaultyFileSystem } from '../../helpers/faulty-file-system.js'
import { below, SeededRandom } from '../../helpers/faulty-random.js'
import { cutPower, kill, liveOn } from '../../helpers/floki-life.js'
import { type FlokiPeer, messagesOf } from '../../helpers/floki-server.js'
import { QueuesOnPaper, type QueueView } from '../../helpers/queues-on-paper.js'
import type { RespValue } from '../../helpers/resp-values.js'

const ROUNDS = Number(process.env.LEVERET_ROUNDS ?? 12)
const SEED = Number(process.env.LEVERET_SEED ?? 1)
const LIVES = 3
const REQUESTS_MAX = 60
/** A life ends within so many calls. */
const OPS_MAX = 250
/** What a process that is dead already may still say. */
const LAST_WORDS_MS = 20

for (let seed = SEED; seed < SEED + ROUNDS; seed++) {
  for (const [death, die] of [['a loss of power', cutPower] as const, ['a kill', kill] as const]) {
    test(`${death} at any call takes nothing that was answered (LEVERET_SEED=${seed})`, { timeout: 30_000 }, (t) =>
      liveAndDie(t, seed, die),
    )
  }
}

async function liveAndDie(t: TestContext, seed: number, die: (fs: FaultyFileSystem) => void): Promise<void> {
  const fs = new FaultyFileSystem({ seed })
  const random = new SeededRandom(seed)
  let papers: readonly QueuesOnPaper[] = [new QueuesOnPaper()]
  const said: string[] = []
  for (let life = 0; life < LIVES && papers.length > 0; life++) {
    const { app, connect } = await liveOn(t, fs, { segmentBytes: 64 * 1024 })
    const peer = await connect()
    if (life === 0) await peer.expect('CONFIG SET server.durability sync', '+OK')
    const paper = await theTrueOne(peer, papers, said)
    said.push(`life ${life + 1}`)
    papers = await untilCrash(peer, paper, fs, random, said)
    fs.beforeOp(null)
    die(fs)
    peer.raw[Symbol.dispose]()
    await app.stop({ deadlineMs: 0 }).catch(() => undefined)
  }
}

/** Read all that there is, which is what one of the papers says. */
async function theTrueOne(
  peer: FlokiPeer,
  papers: readonly QueuesOnPaper[],
  said: readonly string[],
): Promise<QueuesOnPaper> {
  const config = (await peer.json('QCONFIG queues')) as Record<string, { message_timeout: number }>
  const info = (await peer.json('QINFO queues')) as Record<string, { head: number; channels: object }>
  const found: Record<string, QueueView> = {}
  const reads: ((paper: QueuesOnPaper) => void)[] = []
  for (const queue of Object.keys(info).sort()) {
    const { head, channels } = info[queue] as { head: number; channels: object }
    const view: QueueView = { head, timeoutSeconds: config[queue]?.message_timeout ?? 0, channels: {} }
    for (const channel of Object.keys(channels).sort()) {
      const messages = await peer.fetch(`HMGET ${queue} ${channel} 1000`)
      const bodies = new Map(messages.map(({ id, body }) => [id, body]))
      view.channels[channel] = [...bodies].sort(([one], [other]) => one - other)
      reads.push((paper) => paper.readAll(queue, channel, messages))
    }
    found[queue] = view
  }
  const views = papers.map((paper) => JSON.stringify(paper.view()))
  const actual = JSON.stringify(found)
  const paper = papers[views.indexOf(actual)]
  assert.ok(paper !== undefined, `${actual}\nis none of\n${views.join('\n')}\nafter\n${said.join('\n')}`)
  for (const read of reads) read(paper)
  return paper
}

/** What may be true after it; nothing if that would be too much. */
async function untilCrash(
  peer: FlokiPeer,
  paper: QueuesOnPaper,
  fs: FaultyFileSystem,
  random: Random,
  said: string[],
): Promise<readonly QueuesOnPaper[]> {
  const crashAt = fs.opCount + below(random, OPS_MAX)
  let crash = (): void => undefined
  const crashed = new Promise<void>((resolve) => {
    crash = resolve
  })
  fs.beforeOp(({ index }) => {
    if (index < crashAt) return
    crash()
    throw new Crash()
  })
  for (let count = 0; count < REQUESTS_MAX; count++) {
    const before = paper.copy()
    const request = paper.choose(random)
    said.push(request.words)
    const reply = await Promise.race([peer.ask(request.words), crashed.then(() => sleep(LAST_WORDS_MS, null))])
    if (reply === null || reply[0] === '-') {
      assert.ok(fs.opCount >= crashAt, `${JSON.stringify(reply)} to ${said.join('\n')}`)
      return request.isManifold ? [] : [before, paper, ...halfMade(before, request.words)]
    }
    if (request.words.startsWith('HMGET')) request.took(messagesOf(reply))
    if (request.words.startsWith('HDEL')) requireAcked(reply, said)
  }
  return [paper]
}

/** A queue is there before its first channel. */
function halfMade(before: QueuesOnPaper, words: string): QueuesOnPaper[] {
  const [verb, queue = ''] = words.split(' ')
  if (verb !== 'SETNX' || before.has(queue)) return []
  const paper = before.copy()
  paper.make(queue)
  return [paper]
}

/** Of tickets that are in flight. */
function requireAcked(reply: RespValue, said: readonly string[]): void {
  assert.equal(String(reply[1]), '1', said.join('\n'))
}
