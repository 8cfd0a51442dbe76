/**
 * Many connections and many topics: what costs a server memory without giving it work.
 */
import type { Socket } from 'node:net'
import { DEFAULT_TOPIC_SETTINGS } from '../../src/model/topic.js'
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import { offer } from '../harness/calls.js'
import { openSmall, Progress } from '../harness/raw-socket.js'
import {
  complaint,
  createTopic,
  DONE,
  headOf,
  hello,
  PUBLISHED,
  publish,
  runOf,
  WELCOME,
} from '../wire/leveret-frames.js'
import { payloadOf } from '../wire/stream.js'

export interface CrowdJob {
  readonly port: number
  readonly count: number
}

const ANSWER_MS_MAX = 60_000
const AT_ONCE = 64
const FRAME_BYTES_MAX = 64 * 1024

const progress = new Progress()
const crowd: Socket[] = []

const api = {
  /** Open connections that say Hello, wait for each Welcome, and keep them open and silent. */
  async connections({ port, count }: CrowdJob): Promise<void> {
    await inParallel(count, async () => {
      crowd.push(await exchange(port, hello(1), WELCOME))
    })
  },

  /** Create topics with default settings through one connection. */
  async topics({ port, count }: CrowdJob): Promise<void> {
    let answered = 0
    const splitter = new FrameSplitter(FRAME_BYTES_MAX)
    const socket = await openSmall(port, progress, (chunk) => {
      splitter.push(chunk)
      while (splitter.next()) {
        const { buffer, start, end } = splitter
        if (headOf(buffer, start, end).field !== DONE) throw new Error(complaint(buffer, start, end))
        answered++
      }
      progress.made()
    })
    const at = 1000
    for (let first = 0; first < count; first += at) {
      const last = Math.min(count, first + at)
      for (let index = first; index < last; index++) {
        socket.write(createTopic(index + 1, `topic-${index}`, DEFAULT_TOPIC_SETTINGS))
      }
      await progress.until(
        () => answered >= last,
        ANSWER_MS_MAX,
        () => `${answered} of ${count} topics`,
      )
    }
    crowd.push(socket)
  },

  /** How many of them the server has kept open. */
  async alive(_: null): Promise<number> {
    return crowd.filter(({ destroyed }) => !destroyed).length
  },

  /** Connect, publish one record, wait for its acknowledgement, close: `count` times. */
  async churn({ port, count }: CrowdJob): Promise<void> {
    const frame = publish(1, 'churn', runOf(payloadOf(100), 1))
    await inParallel(count, async () => {
      const socket = await exchange(port, frame, PUBLISHED)
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve())
        socket.end()
      })
    })
  },
}

export type CrowdApi = typeof api

offer(api)

/** Connect, send one frame, and wait for the answer that is hoped for. */
async function exchange(port: number, frame: Buffer, field: number): Promise<Socket> {
  const splitter = new FrameSplitter(FRAME_BYTES_MAX)
  const own = new Progress()
  let isAnswered = false
  const socket = await openSmall(port, own, (chunk) => {
    splitter.push(chunk)
    while (splitter.next()) {
      const { buffer, start, end } = splitter
      if (headOf(buffer, start, end).field !== field) throw new Error(complaint(buffer, start, end))
      isAnswered = true
    }
    own.made()
  })
  socket.write(frame)
  await own.until(
    () => isAnswered,
    ANSWER_MS_MAX,
    () => 'a connection was not answered',
  )
  return socket
}

async function inParallel(count: number, work: () => Promise<void>): Promise<void> {
  let left = count
  const lane = async (): Promise<void> => {
    while (left-- > 0) await work()
  }
  await Promise.all(Array.from({ length: AT_ONCE }, lane))
}
