/**
 * NATS Streaming under kills: publishers, the members of a durable queue group and a durable of its own, each a process with
 * `node-nats-streaming`, while the server and members are killed at random moments. In the end each publish that was answered
 * has been received by the group and by the durable, whatever came twice was flagged, and nothing came again whose ack the server
 * had.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/common/clock.js'
import { below, SeededRandom } from './faulty-random.js'
import { MortalServer, pause } from './kill-server.js'
import { Running } from './leveret-process.js'
import { StanPeer } from './stan-peer.js'

const CLIENT = fileURLToPath(new URL('./stan-kill-client.ts', import.meta.url))
const CHANNEL = 'work'
const KILL_MIN_MS = 200
const KILL_MAX_MS = 1_500
/** One kill of so many is a member's. */
const MEMBER_SHARE = 4
/** Without any progress for so long it hangs. */
const PATIENCE_MS = 45_000
/** An ack that a kill has swallowed is missed by then. */
const QUIET_MS = 5_000
const LOOK_MS = 200
/** What was sent before an ack may be on its way to another process, if the machine is busy. */
const UNDERWAY_NS = 2_000_000_000n

export interface StanKillOptions {
  readonly seed: number
  readonly publishers: number
  readonly workers: number
  /** For so long it goes on, and for so many kills of the server at least. */
  readonly forMs: number
  readonly killsMin: number
}

export interface StanKillResult {
  readonly acked: number
  readonly messages: number
  readonly deliveries: number
  readonly redelivered: number
  readonly serverKills: number
  readonly memberKills: number
  readonly restartsMs: readonly number[]
}

export async function stanRounds(options: StanKillOptions): Promise<StanKillResult> {
  const { seed, publishers, workers } = options
  const port = await freePort()
  const server = await MortalServer.make(['--nats-streaming', String(port)])
  const crew = new Crew(port)
  try {
    await server.start()
    for (let index = 0; index < workers; index++) crew.hire('worker', `worker-${index}`)
    crew.hire('auditor', 'auditor')
    for (let index = 0; index < publishers; index++) crew.hire('publisher', `publisher-${index}`)
    const restarts = await harass(options, server, crew)
    await crew.dismiss('publisher')
    await settled(crew)
    await crew.dismiss('worker')
    await crew.dismiss('auditor')
    const result = judge(crew, restarts)
    await nothingIsLeft(port)
    return { ...result, serverKills: server.kills, memberKills: crew.kills, restartsMs: server.restartsMs }
  } catch (error) {
    throw new Error(`seed ${seed}: ${error}`, { cause: error })
  } finally {
    await crew.end()
    await server.remove()
  }
}

/** When the server was ready again, each time. */
async function harass(options: StanKillOptions, server: MortalServer, crew: Crew): Promise<bigint[]> {
  const random = new SeededRandom(options.seed)
  const restarts: bigint[] = []
  const until = systemClock.monotonic() + options.forMs
  while (systemClock.monotonic() < until || server.kills < options.killsMin) {
    await pause(KILL_MIN_MS + below(random, KILL_MAX_MS - KILL_MIN_MS))
    crew.assertAlive()
    if (below(random, MEMBER_SHARE) === 0) await crew.replace(`worker-${below(random, options.workers)}`)
    else {
      await server.kill()
      await server.start()
      restarts.push(process.hrtime.bigint())
    }
  }
  return restarts
}

/** The processes, each with a journal that its successors go on with. */
class Crew {
  kills = 0
  readonly folder = mkdtempSync(join(tmpdir(), 'leveret-stan-'))
  readonly #port: number
  readonly #running = new Map<string, Running>()

  constructor(port: number) {
    this.#port = port
  }

  hire(role: string, name: string): void {
    const words = ['--import', 'tsx', CLIENT, String(this.#port), role, name, join(this.folder, name)]
    this.#running.set(name, new Running(words, {}))
  }

  assertAlive(): void {
    for (const [name, { child, stderr }] of this.#running) {
      assert.equal(child.exitCode, null, `${name} ended by itself:\n${stderr}`)
    }
  }

  async replace(name: string): Promise<void> {
    const running = this.#running.get(name) as Running
    running.signal('SIGKILL')
    await running.ended
    this.kills++
    this.hire('worker', name)
  }

  /** All of a role end in order. */
  async dismiss(role: string): Promise<void> {
    const theirs = [...this.#running].filter(([name]) => name.startsWith(role))
    for (const [, running] of theirs) running.signal('SIGTERM')
    for (const [name, running] of theirs) {
      const { code, stderr } = await running.ended
      assert.equal(code, 0, `${name} ended with ${code}:\n${stderr}`)
      this.#running.delete(name)
    }
  }

  async end(): Promise<void> {
    for (const running of this.#running.values()) {
      running.signal('SIGKILL')
      await running.ended
    }
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** The words of each whole line; a process that was killed while it wrote leaves half a one. */
  lines(role: string): string[][] {
    return readdirSync(this.folder)
      .filter((name) => name.startsWith(role))
      .flatMap((name) => readFileSync(join(this.folder, name), 'utf8').split('\n').slice(0, -1))
      .map((line) => line.split(' '))
  }
}

/** Until those who receive have all that was answered to publishers, have acked what they have, and nothing comes again. */
async function settled(crew: Crew): Promise<void> {
  const acked = new Set(crew.lines('publisher').map(([, text]) => text))
  const missing = (lines: readonly (readonly string[])[]): number => {
    const texts = new Set<string | undefined>()
    const got = new Set<string | undefined>()
    const done = new Set<string | undefined>()
    for (const [word, sequence, , , text] of lines) {
      if (word === 'acking') done.add(sequence)
      if (word !== 'got') continue
      texts.add(text)
      got.add(sequence)
    }
    return [...acked].filter((text) => !texts.has(text)).length + [...got].filter((each) => !done.has(each)).length
  }
  let seen = 0
  let movedMs = systemClock.monotonic()
  for (;;) {
    await pause(LOOK_MS)
    crew.assertAlive()
    const [workers, auditor] = [crew.lines('worker'), crew.lines('auditor')]
    const restMs = systemClock.monotonic() - movedMs
    const left = missing(workers) + missing(auditor)
    if (workers.length + auditor.length > seen) movedMs = systemClock.monotonic()
    else if (left === 0 && restMs > QUIET_MS) return
    else if (restMs > PATIENCE_MS) assert.fail(`nothing moves, with ${left} messages to go`)
    seen = workers.length + auditor.length
  }
}

function judge(crew: Crew, restarts: readonly bigint[]) {
  const acked = crew.lines('publisher').map(([, text]) => text)
  const workers = new Deliveries(crew.lines('worker'))
  const auditor = new Deliveries(crew.lines('auditor'))
  for (const deliveries of [workers, auditor]) {
    deliveries.judge(restarts)
    for (const text of acked) assert.ok(deliveries.texts.has(text), `${text} was acknowledged and never came`)
  }
  const first = auditor.all.filter(({ isRedelivered }) => !isRedelivered).map(({ sequence }) => sequence)
  assert.deepEqual(
    first,
    [...first].sort((a, b) => a - b),
    'first deliveries are in order',
  )
  const sequences = [...auditor.bySequence.keys()].sort((a, b) => a - b)
  assert.equal(sequences.at(-1), sequences.length, 'sequences have no holes')
  const all = [...workers.all, ...auditor.all]
  const redelivered = all.filter(({ isRedelivered }) => isRedelivered).length
  return { acked: acked.length, messages: sequences.length, deliveries: all.length, redelivered }
}

interface Delivery {
  readonly sequence: number
  readonly isRedelivered: boolean
  readonly at: bigint
  readonly text: string
}

/** What a group, or a durable, has seen. */
class Deliveries {
  readonly all: Delivery[] = []
  readonly texts = new Set<string | undefined>()
  readonly bySequence = new Map<number, Delivery[]>()
  readonly #told = new Map<number, bigint>()

  constructor(lines: readonly (readonly string[])[]) {
    for (const [word, number, flagOrTime, time, text = ''] of lines) {
      const sequence = Number(number)
      if (word === 'told') this.#told.set(sequence, earlier(this.#told.get(sequence), BigInt(flagOrTime ?? 0)))
      if (word !== 'got') continue
      const delivery = { sequence, isRedelivered: flagOrTime === '1', at: BigInt(time ?? 0), text }
      this.all.push(delivery)
      this.texts.add(text)
      this.bySequence.set(sequence, [...(this.bySequence.get(sequence) ?? []), delivery])
    }
  }

  judge(restarts: readonly bigint[]): void {
    for (const [sequence, deliveries] of this.bySequence) {
      deliveries.sort((a, b) => Number(a.at - b.at))
      const texts = new Set(deliveries.map(({ text }) => text))
      assert.equal(texts.size, 1, `sequence ${sequence} was ${[...texts].join(' and ')}`)
      const unflagged = deliveries.filter(({ isRedelivered }) => !isRedelivered).length
      assert.ok(unflagged <= 1, `${sequence} came ${unflagged} times as if for the first time`)
      const told = this.#told.get(sequence)
      const isLate = ({ at }: Delivery): boolean =>
        told !== undefined &&
        at > told &&
        (at > told + UNDERWAY_NS || restarts.some((each) => told < each && each < at))
      assert.ok(!deliveries.some(isLate), `${sequence} came again after its ack was in the server's hands`)
    }
  }
}

function earlier(one: bigint | undefined, other: bigint): bigint {
  return one === undefined || other < one ? other : one
}

/** Whoever comes next to the group and to the durable gets what is new, and nothing else. */
async function nothingIsLeft(port: number): Promise<void> {
  const peer = await StanPeer.connect(port, 'auditor')
  try {
    const durable = { subject: CHANNEL, durableName: 'durable' }
    const subscriptions = [await peer.subscribe(durable), await peer.subscribe({ ...durable, qGroup: 'workers' })]
    assert.equal(await peer.publish(CHANNEL, 'the end'), '')
    for (const subscription of subscriptions) assert.equal((await subscription.until(1))[0]?.data, 'the end')
  } finally {
    peer.wire.close()
  }
}

export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  assert.ok(address !== null && typeof address === 'object')
  return address.port
}
