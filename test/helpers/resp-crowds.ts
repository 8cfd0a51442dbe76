/**
 * Crowds of peers that behave badly against a server of dialects, while others go on: thousands that send a byte now and then,
 * and readers that stop reading. Sizes are the caller's: a share of it in the suites, all of it in a soak.
 */
import assert from 'node:assert/strict'
import { systemClock } from '../../src/common/clock.js'
import { type DialectName, type DialectServer, MemoryPeak } from './dialect-server.js'
import { pause } from './kill-server.js'
import type { RespPeer } from './resp-peer.js'
import { requestOf } from './resp-values.js'

const MIB = 1024 * 1024

/** Times in milliseconds, as 99 of 100 stay below. */
export function p99(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? 0
}

/** Connect, ask one thing, and leave; in milliseconds. */
async function visit(server: DialectServer, dialect: DialectName): Promise<number> {
  const startedMs = systemClock.monotonic()
  using peer = await server.connect(dialect)
  assert.deepEqual(await peer.ask('PING'), ['+', 'PONG'])
  return systemClock.monotonic() - startedMs
}

export interface SlowlorisOptions {
  readonly sockets: number
  /** Between two bytes of a socket. */
  readonly everyMs: number
  /** The server frees a socket that has not said anything whole after this time. */
  readonly handshakeMs: number
}

export interface SlowlorisResult {
  readonly visits: number
  readonly visitP99Ms: number
  /** From the first byte to the end of the last socket. */
  readonly freedMs: number
  readonly grownBytes: number
}

/** Sockets that send a first request a byte at a time, until the server has freed all of them. */
export async function slowloris(
  server: DialectServer,
  dialect: DialectName,
  { sockets, everyMs, handshakeMs }: SlowlorisOptions,
): Promise<SlowlorisResult> {
  using peak = new MemoryPeak(server.pid)
  const peers = await server.crowd(dialect, sockets)
  const request = requestOf('publish', 'slow', 'e', Buffer.alloc(1000, 'x'))
  const startedMs = systemClock.monotonic()
  let freed = 0
  const ends = peers.map(async (peer) => {
    const last = await peer.next()
    assert.equal(last?.[0], '-', `the server says why: ${JSON.stringify(last)}`)
    await peer.expectEnd()
    freed++
  })
  const trickle = async (): Promise<void> => {
    for (let at = 0; freed < sockets; at++) {
      for (const peer of peers) if (peer.socket.writable) peer.write(request.subarray(at, at + 1))
      for (let waitedMs = 0; waitedMs < everyMs && freed < sockets; waitedMs += 100) await pause(100)
      assert.ok(systemClock.monotonic() - startedMs < handshakeMs * 4 + 20_000, `only ${freed} of ${sockets} are freed`)
    }
  }
  const times: number[] = []
  const visits = async (): Promise<void> => {
    while (freed < sockets) {
      times.push(await visit(server, dialect))
      await pause(5)
    }
  }
  await Promise.all([trickle(), visits()])
  await Promise.all(ends)
  const freedMs = systemClock.monotonic() - startedMs
  for (const peer of peers) peer[Symbol.dispose]()
  return { visits: times.length, visitP99Ms: p99(times), freedMs, grownBytes: peak.grownBytes }
}

export interface FrozenResult {
  readonly aloneP99Ms: number
  readonly besideP99Ms: number
  readonly grownBytes: number
  readonly backlogBytes: number
}

/** A subscriber that stops reading for a time and keeps its socket open: it is kept, holds nobody up and misses nothing. */
export async function frozenSubscriber(server: DialectServer, forMs: number): Promise<FrozenResult> {
  const data = Buffer.alloc(16 * 1024, 'x')
  using publisher = await server.connect('meilies')
  const publishFor = async (ms: number, atLeast = 1): Promise<number[]> => {
    const times: number[] = []
    const until = systemClock.monotonic() + ms
    while (systemClock.monotonic() < until || times.length < atLeast) {
      const startedMs = systemClock.monotonic()
      assert.deepEqual(await publisher.ask('publish', 'frozen', 'e', data), ['+', 'OK'])
      times.push(systemClock.monotonic() - startedMs)
    }
    return times
  }
  const before = await publishFor(Math.min(forMs, 3000))
  using frozen = await server.connect('meilies')
  frozen.send('subscribe', `frozen:${before.length}`)
  await frozen.next()
  frozen.socket.pause()
  using peak = new MemoryPeak(server.pid)
  // More than the kernel takes for a reader that does not read, also where a machine is slow.
  const beside = await publishFor(forMs, 400)
  const { grownBytes } = peak
  frozen.socket.resume()
  for (let index = 0; index < beside.length; index++) {
    const event = await frozen.next()
    assert.ok(event !== null && event[0] === '*', 'it is not cut off')
    assert.deepEqual(event[1][2], [':', before.length + index])
  }
  await frozen.expectSilence()
  const backlogBytes = beside.length * data.length
  return { aloneP99Ms: p99(before), besideP99Ms: p99(beside), grownBytes, backlogBytes }
}

/** Peers that ask for much and read nothing: what they have not read is bounded, and others are answered. Bytes grown. */
export async function neverReading(server: DialectServer, dialect: DialectName, size: number): Promise<number> {
  const peers = await server.crowd(dialect, size)
  const [setUp, question] =
    dialect === 'meilies'
      ? [requestOf('publish', 'large', 'e', Buffer.alloc(256 * 1024, 'x')), requestOf('SUBSCRIBE', 'large:0')]
      : [
          Buffer.concat([requestOf('SETNX', 'large', 'c'), requestOf('RPUSH', 'large', Buffer.alloc(64 * 1024, 'x'))]),
          requestOf('CONFIG', 'GET', 'server'),
        ]
  try {
    using witness = await server.connect(dialect)
    for (let count = 0; count < 64; count++) witness.write(setUp)
    await witness.take(dialect === 'meilies' ? 64 : 128)
    using peak = new MemoryPeak(server.pid)
    for (const peer of peers) {
      peer.socket.pause()
      peer.write(Buffer.concat(Array.from({ length: dialect === 'meilies' ? 1 : 20_000 }, () => question)))
    }
    for (let count = 0; count < 200; count++) {
      assert.deepEqual(await witness.ask('ECHO', 'x'), ['$', 'x'])
      await pause(5)
    }
    return peak.grownBytes
  } finally {
    for (const peer of peers) peer.socket.destroy()
  }
}

/** Subscribers by the thousand that leave together: nothing of them stays, and no stream needs to move for it. */
export async function leavers(server: DialectServer, connections: number, specs: number): Promise<number> {
  using witness = await server.connect('meilies')
  using peak = new MemoryPeak(server.pid)
  for (let round = 0; round < 2; round++) {
    const peers = await server.crowd('meilies', connections)
    const words = Array.from({ length: specs }, (_, index) => `leave${index}:${index * 7}`)
    for (const peer of peers) peer.send('subscribe', ...words)
    await Promise.all(peers.map((peer) => peer.take(specs)))
    for (const peer of peers) peer.socket.destroy()
    await othersGone(witness)
  }
  return peak.grownBytes
}

/** Until the server knows of no connection but this one. */
export async function othersGone(witness: RespPeer): Promise<void> {
  const until = systemClock.monotonic() + 20_000
  for (;;) {
    const info = String((await witness.ask('INFO'))?.[1])
    if (info.includes('connected_clients:1\r\n')) return
    assert.ok(systemClock.monotonic() < until, info)
    await pause(5)
  }
}

export const SLACK_BYTES = 64 * MIB
