/**
 * Bytes to the client frames of subscriptions and groups, for decode-client.ts, which has found where their bodies are.
 */
import { ProtocolError } from '../common/errors.js'
import { GROUP_ACTIONS, MODES } from '../model/group.js'
import { EARLIEST } from '../model/topic.js'
import { type ClientFrame, OUTCOMES } from './frames.js'
import { decodeStart } from './topic-settings.js'
import { WIRE_LEN, WIRE_VARINT, type WireReader } from './wire.js'

export function decodeSubscribe(reader: WireReader, id: number): ClientFrame {
  let start = EARLIEST
  let untilOffset: number | null = null
  let takeOver = false
  const backoffMs: number[] = []
  const numbers = { subscription: 0, mode: 0, window: 0, ackWaitMs: 0 }
  const texts = { topic: '', group: '', member: '' }
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field === 3) {
      reader.expect(tag & 7, WIRE_LEN)
      const outer = reader.enter()
      start = decodeStart(reader)
      reader.leave(outer)
    } else if (field === 2 || field === 6 || field === 9) {
      reader.expect(tag & 7, WIRE_LEN)
      texts[field === 2 ? 'topic' : field === 6 ? 'group' : 'member'] = reader.string()
    } else if (field === 4) {
      reader.expect(tag & 7, WIRE_VARINT)
      untilOffset = reader.uint()
    } else if (field === 1 || field === 5 || field === 7 || field === 8) {
      reader.expect(tag & 7, WIRE_VARINT)
      const name = field === 1 ? 'subscription' : field === 5 ? 'mode' : field === 7 ? 'window' : 'ackWaitMs'
      numbers[name] = reader.uint32()
    } else if (field === 10) {
      reader.expect(tag & 7, WIRE_VARINT)
      takeOver = reader.bool()
    } else if (field === 11) reader.uints(tag & 7, backoffMs)
    else reader.skip(tag & 7)
  }
  const mode = MODES[numbers.mode]
  if (mode === undefined) throw new ProtocolError(`subscription mode ${numbers.mode} is not known`)
  return {
    kind: 'subscribe',
    id,
    subscription: numbers.subscription,
    topic: texts.topic,
    start,
    untilOffset,
    mode,
    group: texts.group,
    window: numbers.window || 1,
    ackWaitMs: numbers.ackWaitMs || null,
    member: texts.member,
    takeOver,
    backoffMs,
  }
}

export function decodeUnsubscribe(reader: WireReader, id: number): ClientFrame {
  let subscription = 0
  let forget = false
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x08:
        subscription = reader.uint32()
        break
      case 0x10:
        forget = reader.bool()
        break
      default:
        reader.skipUnknown(tag, 2)
    }
  }
  return { kind: 'unsubscribe', id, subscription, forget }
}

export function decodeCommit(reader: WireReader, id: number): ClientFrame {
  let subscription = 0
  let partition = 0
  let offset: number | null = null
  const offsets: number[] = []
  let outcomeNumber = 0
  let delayMs = 0
  let generation = 0
  let reason = ''
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x08:
        subscription = reader.uint32()
        break
      case 0x10:
        partition = reader.uint32()
        break
      case 0x18:
        offset = reader.uint()
        break
      case 0x20:
      case 0x22:
        reader.uints(tag & 7, offsets)
        break
      case 0x28:
        outcomeNumber = reader.uint32()
        break
      case 0x30:
        delayMs = reader.uint()
        break
      case 0x38:
        generation = reader.uint32()
        break
      case 0x42:
        reason = reader.string()
        break
      default:
        reader.skipUnknown(tag, 8)
    }
  }
  const outcome = OUTCOMES[outcomeNumber]
  if (outcome === undefined) throw new ProtocolError(`outcome ${outcomeNumber} is not known`)
  return { kind: 'commit', id, subscription, partition, offset, offsets, outcome, delayMs, generation, reason }
}

export function decodeDescribe(reader: WireReader, id: number): ClientFrame {
  const texts = ['', '', '']
  let groups = false
  while (!reader.done) {
    const tag = reader.tag()
    const field = Math.floor(tag / 8)
    if (field >= 1 && field <= 3) {
      reader.expect(tag & 7, WIRE_LEN)
      texts[field - 1] = reader.string()
    } else if (field === 4) {
      reader.expect(tag & 7, WIRE_VARINT)
      groups = reader.bool()
    } else reader.skip(tag & 7)
  }
  const [topic = '', group = '', after = ''] = texts
  return { kind: 'describe', id, topic, group, after, groups }
}

export function decodeManageGroup(reader: WireReader, id: number): ClientFrame {
  const texts = ['', '']
  let actionNumber = 0
  let start = EARLIEST
  let partition: number | null = null
  while (!reader.done) {
    const tag = reader.tag()
    switch (tag) {
      case 0x0a:
      case 0x12:
        texts[tag === 0x0a ? 0 : 1] = reader.string()
        break
      case 0x18:
        actionNumber = reader.uint32()
        break
      case 0x22: {
        const outer = reader.enter()
        start = decodeStart(reader)
        reader.leave(outer)
        break
      }
      case 0x28:
        partition = reader.uint32()
        break
      default:
        reader.skipUnknown(tag, 5)
    }
  }
  const action = GROUP_ACTIONS[actionNumber]
  if (action === undefined) throw new ProtocolError(`action ${actionNumber} on a group is not known`)
  const [topic = '', group = ''] = texts
  return { kind: 'manage-group', id, topic, group, action, start, partition }
}
