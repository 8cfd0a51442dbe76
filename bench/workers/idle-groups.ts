/**
 * Makes groups that were used and that nobody takes part in any more: each has got a record, acked it, and was left.
 */
import type { Socket } from 'node:net'
import { ServerFrameDecoder } from '../../src/protocol/decode-server.js'
import { FrameSplitter } from '../../src/protocol/frame-splitter.js'
import type { ServerFrame } from '../../src/protocol/frames.js'
import { offer } from '../harness/calls.js'
import { openRaw, Progress } from '../harness/raw-socket.js'
import { FRAME_BYTES_MAX } from '../wire/leveret-dialect.js'
import { ackEach, createTopic, joinShared, KEPT_TOPIC, publish, runOf, unsubscribe } from '../wire/leveret-frames.js'
import { payloadOf } from '../wire/stream.js'

const ANSWER_MS_MAX = 90_000
/** Groups that are being made at the same time. */
const AT_ONCE = 256
const WINDOW = 16

export interface IdleGroupsJob {
  readonly port: number
  readonly topic: string
  readonly groups: number
}

const api = {
  /** On a topic of their own, which is created with one record in it. */
  async make({ port, topic, groups }: IdleGroupsJob): Promise<void> {
    await exchange(port, createTopic(1, topic, KEPT_TOPIC))
    await exchange(port, publish(1, topic, runOf(payloadOf(100), 1)))
    const progress = new Progress()
    const splitter = new FrameSplitter(FRAME_BYTES_MAX)
    const decoder = new ServerFrameDecoder()
    let begun = 0
    let left = 0
    const join = (socket: Socket): void => {
      if (begun === groups) return
      const subscription = ++begun
      const job = { group: `idle-${subscription}`, member: 'm', window: WINDOW }
      socket.write(joinShared(idOf(subscription, 'join'), subscription, topic, job))
    }
    const socket = await openRaw(port, Buffer.alloc(0), progress, (chunk, from) => {
      splitter.push(chunk)
      from.cork()
      while (splitter.next()) {
        const frame = decoder.decode(splitter.buffer, splitter.start, splitter.end)
        if (frame.kind === 'delivery') {
          const { subscription, baseOffset } = frame
          from.write(ackEach(idOf(subscription, 'ack'), subscription, [baseOffset]))
        } else if (frame.kind !== 'done') throw new Error(`leveret sent ${JSON.stringify(frame)}`)
        else if (stepOf(frame.id) === 'ack') {
          const subscription = Math.floor(frame.id / STEPS.length)
          from.write(unsubscribe(idOf(subscription, 'leave'), subscription))
        } else if (stepOf(frame.id) === 'leave') {
          left++
          join(from)
        }
      }
      from.uncork()
      progress.made()
    })
    for (let index = 0; index < AT_ONCE; index++) join(socket)
    await progress.until(
      () => left === groups,
      ANSWER_MS_MAX,
      () => `${left} of ${groups} groups were made and left`,
    )
    socket.removeAllListeners('close')
    socket.destroy()
  },
}

export type IdleGroupsApi = typeof api

offer(api)

const STEPS = ['join', 'ack', 'leave'] as const
type Step = (typeof STEPS)[number]

function idOf(subscription: number, step: Step): number {
  return subscription * STEPS.length + STEPS.indexOf(step)
}

function stepOf(id: number): Step {
  return STEPS[id % STEPS.length] as Step
}

async function exchange(port: number, request: Buffer): Promise<void> {
  const progress = new Progress()
  const splitter = new FrameSplitter(FRAME_BYTES_MAX)
  let answer: ServerFrame | null = null
  const socket = await openRaw(port, request, progress, (chunk) => {
    splitter.push(chunk)
    while (splitter.next()) answer = new ServerFrameDecoder().decode(splitter.buffer, splitter.start, splitter.end)
    progress.made()
  })
  await progress.until(
    () => answer !== null,
    ANSWER_MS_MAX,
    () => 'no answer',
  )
  socket.destroy()
}
