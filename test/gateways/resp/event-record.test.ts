import assert from 'node:assert/strict'
import { isUtf8 } from 'node:buffer'
import { test } from 'node:test'
import { EventReader, eventBytes, putEvent } from '../../../src/gateways/resp/meilies/event-record.js'
import { countRecords, decodeRun, encodeRun } from '../../../src/protocol/records.js'
import { fc } from '../../helpers/fast-check.js'

const eventName = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }).filter((name) => !/[\r\n]/.test(name))
const lengths = fc.constantFrom(0, 1, 100, 127, 128, 129, 16_383, 16_384, 70_000)
const data = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  lengths.map((length) => new Uint8Array(length).fill(7)),
)

test('an event is written as a record that everybody reads', () => {
  fc.assert(
    fc.property(eventName, data, fc.nat(20), (name, payload, before) => {
      const nameBytes = Buffer.from(name)
      const source = Buffer.concat([Buffer.alloc(3), nameBytes, Buffer.alloc(2), payload])
      const bytes = eventBytes(nameBytes.length, payload.length)
      const target = Buffer.alloc(before + bytes)
      const nameAt = { start: 3, end: 3 + nameBytes.length }
      const end = putEvent(target, before, source, nameAt, { start: nameAt.end + 2, end: source.length })
      assert.equal(end, before + bytes)
      const run = target.subarray(before)
      assert.equal(countRecords(run, 0, run.length), 1)
      const headers = [{ name: 'meilies-name', value: nameBytes }]
      // The very bytes that the codec of the native protocol writes.
      assert.ok(run.equals(encodeRun([{ key: null, payload, headers }])))
      const [record] = [...decodeRun(run)]
      assert.equal(record?.key, null)
      assert.ok(Buffer.from(record?.payload ?? []).equals(payload))
    }),
  )
})

test('any record is read as an event, with its name if it has one that events can have', () => {
  const header = fc.record({
    name: fc.oneof(fc.constant('meilies-name'), fc.constant('meilies-name2'), fc.string({ maxLength: 14 })),
    value: fc.oneof(
      eventName.map((name) => Buffer.from(name)),
      fc.uint8Array({ maxLength: 10 }),
      fc.constant(Buffer.from('a\nb')),
    ),
  })
  const record = fc.record({
    key: fc.option(fc.uint8Array({ maxLength: 200 })),
    payload: data,
    headers: fc.array(header, { maxLength: 3 }),
  })
  const isName = (value: Uint8Array): boolean =>
    value.length > 0 && isUtf8(value) && !value.includes(10) && !value.includes(13)
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), (records) => {
      const body = encodeRun(records)
      const event = new EventReader()
      let at = 0
      for (const { payload, headers } of records) {
        at = event.read(body, at)
        assert.ok(body.subarray(event.dataStart, event.dataEnd).equals(payload))
        const named = headers.filter(({ name, value }) => name === 'meilies-name' && isName(value)).at(-1)
        const expected = named === undefined ? 'record' : Buffer.from(named.value).toString()
        assert.equal(event.names.toString('utf8', event.nameStart, event.nameEnd), expected)
      }
      assert.equal(at, body.length)
    }),
  )
})
