/** Frames of runs of events, against frames that are written the plain way. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Turn } from '../../../src/common/turn.js'
import { EventFrames, shapeOf } from '../../../src/gateways/resp/meilies/event-frames.js'
import { eventBytes, putEvent } from '../../../src/gateways/resp/meilies/event-record.js'
import { fc } from '../../helpers/fast-check.js'

const NAMES = ['placed', 'paid', 'a', 'größer', 'x'.repeat(500)]

interface Event {
  readonly name: string
  readonly data: Buffer
}

const arbEvent: fc.Arbitrary<Event> = fc.record({
  name: fc.constantFrom(...NAMES),
  data: fc.oneof(fc.nat(3), fc.nat(120), fc.constantFrom(1_000, 20_000)).map((bytes) => Buffer.alloc(bytes, 'data')),
})

function runOf(events: readonly Event[]): Buffer {
  return Buffer.concat(
    events.map(({ name, data }) => {
      const source = Buffer.concat([Buffer.from(name), data])
      const nameBytes = source.length - data.length
      const record = Buffer.alloc(eventBytes(nameBytes, data.length))
      putEvent(record, 0, source, { start: 0, end: nameBytes }, { start: nameBytes, end: source.length })
      return record
    }),
  )
}

test('shows events with their numbers, names and data, alike or not, however their numbers grow', () => {
  const base = fc.oneof(fc.nat(12), fc.nat(2_000), fc.constantFrom(97, 9_998, 999_999_998, 2 ** 53 - 60))
  const arbRuns = fc.array(fc.tuple(base, fc.array(arbEvent, { minLength: 1, maxLength: 30 })), { maxLength: 4 })
  fc.assert(
    fc.property(arbRuns, fc.boolean(), (runs, isPush) => {
      const frames = new EventFrames(new Turn())
      const shape = shapeOf(isPush ? 'push' : 'classic', isPush ? 3 : 2, 'stream', 'stream')
      for (const [baseOffset, events] of runs) {
        const body = runOf(events)
        const run = { body, bodyStart: 0, bodyEnd: body.length, baseOffset, count: events.length }
        const expected = events.map(({ name, data }, index) => {
          const head = `${isPush ? '>' : '*'}5\r\n+event\r\n+stream\r\n:${baseOffset + index}\r\n+${name}\r\n$${data.length}\r\n`
          return Buffer.concat([Buffer.from(head), data, Buffer.from('\r\n')])
        })
        assert.ok(frames.of(run, shape).equals(Buffer.concat(expected)))
      }
    }),
  )
})
