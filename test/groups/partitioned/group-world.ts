/**
 * Members of a partitioned group and the lines to them, at virtual time and from a seed: they join, commit, let go,
 * fall silent, vanish and come back; what they send arrives late, out of order, or after they are gone. Every call goes
 * through the oracle, which checks it.
 */
import type { AssignmentFact, PartitionedGroupOptions } from '../../../src/groups/partitioned/partitioned-facts.js'
import { below, chance, SeededRandom } from '../../helpers/faulty-random.js'
import { OwnershipOracle } from './ownership-oracle.js'

interface Peer {
  readonly name: string
  /** Newest last; a peer that was told nothing yet sends 0. */
  readonly generations: number[]
  partitions: readonly number[]
  /** Sends heartbeats and confirms; a silent one may still commit what it had. */
  isSilent: boolean
}

interface Message {
  readonly atMs: number
  readonly deliver: () => void
}

export interface WorldOptions {
  readonly group: PartitionedGroupOptions
  readonly partitions: number
  readonly names: number
  /** The longest that a message takes. */
  readonly delayMs: number
  /** How often a member that is told to let go never says that it did. */
  readonly unconfirmed: number
  /** How often a tick that is due comes late. */
  readonly lateTicks: number
}

export class GroupWorld {
  readonly oracle: OwnershipOracle
  readonly random: SeededRandom
  readonly peers = new Map<string, Peer>()
  /** When the position of each partition last moved. */
  readonly movedMs: number[]
  commits = 0
  fenced = 0
  readonly #options: WorldOptions
  /** Gone, and still on the lines. */
  readonly #ghosts: Peer[] = []
  readonly #messages: Message[] = []
  #positions = 0

  constructor(seed: number, options: WorldOptions) {
    this.#options = options
    this.random = new SeededRandom(seed)
    this.oracle = new OwnershipOracle(options.partitions, options.group)
    this.movedMs = new Array<number>(options.partitions).fill(0)
  }

  /** Let time pass to a moment: messages arrive, deadlines end. */
  passTo(endMs: number): void {
    const { oracle } = this
    for (;;) {
      const deadlineMs = this.oracle.group.nextDeadlineMs() ?? Number.POSITIVE_INFINITY
      const message = this.#messages.reduce<Message | null>((a, b) => (a === null || b.atMs < a.atMs ? b : a), null)
      const atMs = Math.max(oracle.nowMs, Math.min(deadlineMs, message?.atMs ?? Number.POSITIVE_INFINITY))
      if (atMs > endMs) break
      oracle.nowMs = atMs
      if (message !== null && message.atMs <= deadlineMs) {
        this.#messages.splice(this.#messages.indexOf(message), 1)
        message.deliver()
      } else {
        if (chance(this.random, this.#options.lateTicks)) oracle.nowMs = Math.min(endMs, atMs + below(this.random, 300))
        this.#tell(oracle.tick())
      }
    }
    oracle.nowMs = endMs
  }

  pass(ms: number): void {
    this.passTo(this.oracle.nowMs + ms)
  }

  name(): string {
    return `m${below(this.random, this.#options.names)}`
  }

  /** A name that is here already is taken over: what it was is a ghost from now on. */
  join(name: string): void {
    const former = this.peers.get(name)
    if (former !== undefined) this.#ghosts.push(former)
    if (former !== undefined || this.oracle.heardMs.size < this.#options.group.membersMax) {
      this.peers.set(name, { name, generations: [0], partitions: [], isSilent: false })
    }
    this.#tell(this.oracle.join(name))
    if (this.oracle.heardMs.size > 0) this.#beat(this.peers.get(name))
  }

  leave(name: string): void {
    const peer = this.peers.get(name)
    if (peer !== undefined) this.#bury(peer)
    this.#tell(this.oracle.leave(name))
  }

  silence(name: string): void {
    const peer = this.peers.get(name)
    if (peer !== undefined) peer.isSilent = true
  }

  restart(): void {
    for (const peer of [...this.peers.values()]) this.#bury(peer)
    this.oracle.restart(chance(this.random, 0.5))
  }

  addPartitions(count: number): void {
    for (let index = 0; index < count; index++) this.movedMs.push(this.oracle.nowMs)
    this.#tell(this.oracle.addPartitions(count))
  }

  setPosition(): void {
    const how = (['refuse', 'restart', 'overwrite'] as const)[below(this.random, 3)]!
    const position = chance(this.random, 0.1) ? null : below(this.random, this.#positions + 10)
    this.#tell(this.oracle.setPosition(below(this.random, this.oracle.partitions), position, how))
  }

  /** Somebody commits something, by right or not, and it arrives some time. */
  commitAnything(): void {
    const everybody = [...this.peers.values(), ...this.#ghosts]
    const peer = everybody[below(this.random, everybody.length)]
    if (peer === undefined) return
    const generation = peer.generations[below(this.random, peer.generations.length)]! + (this.#isRare() ? 1 : 0)
    const partition = below(this.random, this.oracle.partitions + (this.#isRare() ? 1 : 0))
    this.#send(() => this.#commit(peer.name, partition, generation), 20)
  }

  /** Every member commits one step in all that it was told to read, under the newest generation it knows. */
  commitOwned(): void {
    for (const peer of this.peers.values()) {
      for (const partition of peer.partitions) {
        const generation = peer.generations.at(-1)!
        this.#send(() => this.#commit(peer.name, partition, generation))
      }
    }
  }

  /** Nobody comes or goes; whoever is silent expires, whatever was not confirmed is waited for. Then all is settled. */
  settle(): void {
    const { sessionTimeoutMs, rebalanceDelayMaxMs, revokeWaitMs } = this.#options.group
    const slackMs = 10 * this.#options.delayMs + 1_000
    this.pass(sessionTimeoutMs + 2 * (rebalanceDelayMaxMs + revokeWaitMs) + slackMs)
    this.oracle.assertSettled([...this.oracle.heardMs.keys()])
  }

  #commit(name: string, partition: number, generation: number): void {
    this.#positions += 1
    const position = this.#isRare() ? below(this.random, this.#positions) : this.#positions
    if (this.oracle.commit(name, partition, generation, position)) {
      this.commits += 1
      this.movedMs[partition] = this.oracle.nowMs
    } else {
      this.fenced += 1
    }
  }

  #tell(facts: readonly AssignmentFact[]): void {
    for (const fact of facts) {
      const peer = this.peers.get(fact.member)
      if (peer !== undefined) this.#send(() => this.#receive(peer, fact))
    }
  }

  #receive(peer: Peer, { generation, partitions }: AssignmentFact): void {
    if (peer.isSilent || generation <= peer.generations.at(-1)!) return
    const lost = peer.partitions.filter((partition) => !partitions.includes(partition))
    const under = chance(this.random, 0.5) ? generation : peer.generations.at(-1)!
    peer.generations.push(generation)
    peer.partitions = partitions
    for (const partition of lost) this.#send(() => this.#commit(peer.name, partition, under))
    if (chance(this.random, this.#options.unconfirmed)) return
    this.#send(() => this.#tell(this.oracle.confirm(peer.name, generation)))
  }

  /** Heartbeats for as long as the peer is the one of its name; one that is told that it is unknown gives up. */
  #beat(peer: Peer | undefined): void {
    if (peer === undefined || peer.isSilent || this.peers.get(peer.name) !== peer) return
    this.oracle.heartbeat(peer.name)
    if (!this.oracle.heardMs.has(peer.name)) {
      this.#bury(peer)
      return
    }
    const atMs = this.oracle.nowMs + this.#options.group.sessionTimeoutMs / 3
    this.#messages.push({ atMs, deliver: () => this.#beat(peer) })
  }

  #bury(peer: Peer): void {
    this.peers.delete(peer.name)
    this.#ghosts.push(peer)
    if (this.#ghosts.length > 20) this.#ghosts.shift()
  }

  #send(deliver: () => void, slower = 1): void {
    const delayMs = below(this.random, this.#options.delayMs * (chance(this.random, 0.1) ? slower : 1) + 1)
    this.#messages.push({ atMs: this.oracle.nowMs + delayMs, deliver })
  }

  #isRare(): boolean {
    return chance(this.random, 0.1)
  }
}
