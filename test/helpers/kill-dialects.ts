/**
 * Both dialects under load on one server that is killed every second or so, for as long as wanted; then what was learnt in all of
 * its lives is held against what is there.
 */
import assert from 'node:assert/strict'
import { systemClock } from '../../src/common/clock.js'
import { below, SeededRandom } from './faulty-random.js'
import { Channel, Pusher } from './kill-floki.js'
import { EventFollower, EventPublisher, eventsIn } from './kill-meilies.js'
import { MortalServer, pause } from './kill-server.js'
import { RespPeer } from './resp-peer.js'

const STREAMS = ['a', 'b']
const PUBLISHERS = 8
const FOLLOWERS = 4
const PUSHERS = 3
const CHANNELS = ['c', 'd']
const CONSUMERS_EACH = 2
/** So that what a dead consumer had comes again while there is time. */
const MESSAGE_TIMEOUT_SECONDS = 2
/** Of a publisher between its windows: the load is steady, not all that the machine gives. */
const REST_MS = 2

export interface DialectKillOptions {
  readonly seed: number
  readonly forMs: number
  /** Between a start and its kill, on average. */
  readonly lifeMs: number
}

export interface DialectKillResult {
  readonly kills: number
  readonly published: number
  readonly inDoubt: number
  readonly stored: number
  readonly followed: number
  readonly pushed: number
  readonly acked: number
  readonly repeated: number
  readonly restartsMs: readonly number[]
}

class Crowd {
  readonly publishers = Array.from(
    { length: PUBLISHERS },
    (_, number) => new EventPublisher(number, STREAMS[number % STREAMS.length] as string),
  )
  readonly followers = Array.from(
    { length: FOLLOWERS },
    (_, number) => new EventFollower(STREAMS[number % STREAMS.length] as string),
  )
  readonly pushers = Array.from({ length: PUSHERS }, (_, number) => new Pusher(`p${number}`, 'q'))
  readonly channels: readonly Channel[]

  constructor() {
    const bodies = new Map<number, string>()
    this.channels = CHANNELS.map((name) => new Channel('q', name, bodies))
  }
}

export async function killDialects({ seed, forMs, lifeMs }: DialectKillOptions): Promise<DialectKillResult> {
  const random = new SeededRandom(seed)
  const server = await MortalServer.make(['--meilies', '0', '--floki', '0'])
  const crowd = new Crowd()
  try {
    const until = systemClock.monotonic() + forMs
    let isFirst = true
    while (isFirst || systemClock.monotonic() < until) {
      const life = await Life.begin(server, isFirst)
      isFirst = false
      const work = life.work(crowd, () => false)
      await Promise.race([pause(lifeMs / 2 + below(random, lifeMs)), work])
      await server.kill()
      await work
    }
    const life = await Life.begin(server, false)
    const stored = await life.finish(crowd)
    const { stderr } = await server.stop()
    assert.equal(stderr, '')
    return { ...summaryOf(crowd), stored, kills: server.kills, restartsMs: server.restartsMs }
  } catch (error) {
    throw new Error(`seed ${seed}: ${error}`, { cause: error })
  } finally {
    await server.remove()
  }
}

/** From one start of the server to its end. */
class Life {
  readonly #meilies: number
  readonly #floki: number

  private constructor(meilies: number, floki: number) {
    this.#meilies = meilies
    this.#floki = floki
  }

  static async begin(server: MortalServer, isFirst: boolean): Promise<Life> {
    await server.start()
    const [, meilies] = await server.printed(/^listening meilies 127\.0\.0\.1:(\d+)$/m)
    const [, floki] = await server.printed(/^listening floki 127\.0\.0\.1:(\d+)$/m)
    if (isFirst) {
      using peer = await RespPeer.connect(Number(floki))
      for (const name of CHANNELS) assert.deepEqual(await peer.ask('SETNX', 'q', name), ['+', 'OK'])
      const timeout = ['queues.q.message_timeout', `${MESSAGE_TIMEOUT_SECONDS}s`]
      assert.deepEqual(await peer.ask('CONFIG', 'SET', ...timeout), ['+', 'OK'])
    }
    return new Life(Number(meilies), Number(floki))
  }

  /** Until all connections have ended. */
  async work(crowd: Crowd, isOver: () => boolean): Promise<void> {
    const rest = (): Promise<void> => pause(REST_MS)
    await Promise.all([
      ...crowd.publishers.map((one) => withPeer(this.#meilies, (peer) => one.run(peer, isOver, rest))),
      ...crowd.followers.map((one) => withPeer(this.#meilies, (peer) => one.run(peer))),
      ...crowd.pushers.map((one) => withPeer(this.#floki, (peer) => one.run(peer, isOver, rest))),
      ...crowd.channels.flatMap((channel) =>
        Array.from({ length: CONSUMERS_EACH }, () =>
          withPeer(this.#floki, (peer) => channel.run(peer, isOver, 2 * MESSAGE_TIMEOUT_SECONDS)),
        ),
      ),
    ])
  }

  /** Read all that there is, and hold everything that was learnt against it; how many events there are. */
  async finish(crowd: Crowd): Promise<number> {
    let stored = 0
    for (const stream of STREAMS) {
      using peer = await RespPeer.connect(this.#meilies)
      const count = await eventsIn(peer, stream)
      const reader = new EventFollower(stream)
      await reader.run(peer, count)
      assert.equal(reader.seen.length, count)
      await peer.expectSilence()
      for (const one of crowd.followers) if (one.stream === stream) one.checkAgainst(reader.seen)
      for (const one of crowd.publishers) if (one.stream === stream) one.check(reader.ofPublisher(one.number))
      stored += count
    }
    const always = (): boolean => true
    await Promise.all(
      crowd.channels.map((channel) =>
        withPeer(this.#floki, (peer) => channel.run(peer, always, 2 * MESSAGE_TIMEOUT_SECONDS)),
      ),
    )
    for (const channel of crowd.channels) channel.check(crowd.pushers)
    return stored
  }
}

/** A server that is killed while somebody connects is no failure. */
async function withPeer(port: number, use: (peer: RespPeer) => Promise<void>): Promise<void> {
  let peer: RespPeer
  try {
    peer = await RespPeer.connect(port)
  } catch {
    return
  }
  try {
    await use(peer)
  } finally {
    peer[Symbol.dispose]()
  }
}

function summaryOf(crowd: Crowd) {
  const sum = (numbers: readonly number[]): number => numbers.reduce((all, number) => all + number, 0)
  return {
    published: sum(crowd.publishers.map(({ acked }) => acked)),
    inDoubt: sum(crowd.publishers.map(({ doubtful }) => doubtful)),
    followed: sum(crowd.followers.map(({ seen }) => seen.length)),
    pushed: sum(crowd.pushers.map(({ answered }) => answered.size)),
    acked: sum(crowd.channels.map(({ acked }) => acked)),
    repeated: sum(crowd.channels.map(({ repeated }) => repeated)),
  }
}
