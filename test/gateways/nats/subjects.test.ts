import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  type NatsMessage,
  type NatsSubscription,
  Router,
  type Subscriber,
} from '../../../src/gateways/nats-streaming/core/router.js'
import { SubjectIndex } from '../../../src/gateways/nats-streaming/core/subject-index.js'
import { SubjectNames } from '../../../src/gateways/nats-streaming/core/subject-names.js'
import {
  PATTERN_TOKENS_MAX,
  subjectFromText,
  subjectKind,
  subjectMatches,
  textFromSubject,
} from '../../../src/gateways/nats-streaming/core/subjects.js'
import { fc } from '../../helpers/fast-check.js'

const token = fc.constantFrom('a', 'b', 'c', 'A', 'ab', 'a*')
const published = fc.array(fc.oneof({ weight: 12, arbitrary: token }, fc.constantFrom('*', '>', '')), {
  minLength: 1,
  maxLength: 5,
})
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { maxLength: 4 }), fc.boolean(), token)
  .map(([tokens, hasRest, last]) => [...tokens, hasRest ? '>' : last].join('.'))

interface Entry {
  readonly subject: string
  readonly queue: string | null
}

test('finds what a scan finds, whoever comes and goes', () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ add: pattern, queue: fc.constantFrom(null, null, 'q', 'r') }) },
    { weight: 2, arbitrary: fc.record({ remove: fc.nat() }) },
    { weight: 6, arbitrary: fc.record({ match: published.map((tokens) => tokens.join('.')) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const index = new SubjectIndex<Entry>()
      const there: Entry[] = []
      for (const each of steps) {
        if ('add' in each) {
          const entry = { subject: each.add, queue: each.queue }
          there.push(entry)
          index.add(entry)
        } else if ('remove' in each) {
          const [entry] = there.length === 0 ? [] : there.splice(each.remove % there.length, 1)
          if (entry === undefined) continue
          assert.equal(index.remove(entry), true)
          assert.equal(index.remove(entry), false)
        } else {
          const { plain, queues } = index.match(each.match)
          const found = [...plain, ...queues.flat()]
          const expected = there.filter(({ subject }) => subjectMatches(subject, each.match))
          assert.equal(found.length, expected.length, each.match)
          assert.deepEqual(new Set(found), new Set(expected))
          for (const members of queues) assert.equal(new Set(members.map(({ queue }) => queue)).size, 1)
          assert.equal(new Set(queues.map((members) => members[0]?.queue)).size, queues.length)
        }
        assert.equal(index.size, there.length)
      }
    }),
    { numRuns: 300 },
  )
})

test('remembers a bounded part of the subjects that were asked for', () => {
  const index = new SubjectIndex<Entry>()
  const entry = { subject: '>', queue: null }
  index.add(entry)
  for (let number = 0; number < 200_000; number++) {
    assert.equal(index.match(`s.${number}`).plain[0], entry)
    assert.ok(index.remembered <= 65_536)
  }
})

test('tells subjects, patterns and what is neither', () => {
  for (const subject of ['a', 'a.b', 'a*', '*a', 'a>', '**', '>>', '\xe9', 'A.b-c_1'])
    assert.equal(subjectKind(subject), 'literal')
  for (const subject of ['*', '>', 'a.*', '*.a', 'a.>', '*.>']) assert.equal(subjectKind(subject), 'pattern')
  for (const subject of ['', '.', '.a', 'a.', 'a..b', '>.a', 'a.>.b'])
    assert.equal(subjectKind(subject), 'empty', subject)
  assert.equal(subjectKind(Array(PATTERN_TOKENS_MAX).fill('*').join('.')), 'pattern')
  assert.equal(
    subjectKind(
      Array(PATTERN_TOKENS_MAX + 1)
        .fill('*')
        .join('.'),
    ),
    'empty',
  )
  assert.equal(subjectKind(Array(2_000).fill('a').join('.')), 'literal')
})

test('takes text to the bytes of a subject and back', () => {
  assert.equal(subjectFromText('plain.text'), 'plain.text')
  assert.deepEqual(Buffer.from(subjectFromText('żółw'), 'latin1'), Buffer.from('żółw'))
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => assert.equal(textFromSubject(subjectFromText(text)), text)),
  )
})

test('knows names again by their bytes', () => {
  const names = new SubjectNames()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(20), (bytes, gap) => {
      const buffer = Buffer.concat([Buffer.alloc(gap), bytes, Buffer.alloc(3)])
      const expected = Buffer.from(bytes).toString('latin1')
      for (let time = 0; time < 3; time++) assert.equal(names.get(buffer, gap, gap + bytes.length), expected)
    }),
  )
})

class Sink implements Subscriber {
  readonly got: string[] = []
  onDeliver: ((message: NatsMessage) => void) | null = null

  deliver(subscription: NatsSubscription, message: NatsMessage): void {
    this.got.push(`${subscription.sid} ${message.subject}`)
    this.onDeliver?.(message)
  }

  subscribes(subject: string, sid: string, queue: string | null = null): NatsSubscription {
    return { subject, queue, sid, owner: this }
  }
}

const NOTHING = Buffer.alloc(0)
const message = (subject: string): NatsMessage => ({ subject, reply: '', headers: null, payload: NOTHING })

test('hands a message to all plain subscriptions and to one of each queue', () => {
  const router = new Router({ next: () => 0, id: () => '' })
  const [one, two] = [new Sink(), new Sink()]
  for (const each of [
    one.subscribes('a', '1'),
    one.subscribes('*', '2', 'q'),
    two.subscribes('a', '3', 'q'),
    two.subscribes('>', '4'),
  ])
    router.add(each)
  assert.equal(router.publish(message('a')), 3)
  assert.deepEqual([one.got, two.got], [['1 a'], ['4 a', '3 a']])
  assert.equal(router.publish(message('b.c')), 1)
  assert.equal(router.publish(message('..')), 0)
})

test('leaves out the publisher who wants no echo, and finds another member of its queue', () => {
  const router = new Router({ next: () => 0, id: () => '' })
  const [one, two] = [new Sink(), new Sink()]
  for (const each of [
    one.subscribes('a', '1'),
    one.subscribes('a', '2', 'q'),
    two.subscribes('a', '3', 'q'),
    one.subscribes('a', '4', 'own'),
  ])
    router.add(each)
  assert.equal(router.publish(message('a'), one), 1)
  assert.deepEqual([one.got, two.got], [[], ['3 a']])
})

test('spreads a queue over all of its members', () => {
  let step = 0
  const router = new Router({ next: () => (step++ % 97) / 97, id: () => '' })
  const sinks = Array.from({ length: 4 }, () => new Sink())
  for (const [index, sink] of sinks.entries()) router.add(sink.subscribes('a', String(index), 'q'))
  for (let count = 0; count < 970; count++) router.publish(message('a'))
  for (const { got } of sinks) assert.ok(got.length > 200 && got.length < 280, String(got.length))
})

test('bears subscriptions that come and go, and messages that are published, while one is handed out', () => {
  const router = new Router({ next: () => 0, id: (bytes) => 'f'.repeat(2 * bytes) })
  const [one, two] = [new Sink(), new Sink()]
  const [first, second] = [one.subscribes('a', '1'), two.subscribes('a', '2')]
  router.add(first)
  router.add(second)
  one.onDeliver = ({ subject }) => {
    router.remove(first)
    router.add(one.subscribes('b', '3'))
    if (subject === 'a') router.publish(message('b'))
  }
  assert.equal(router.publish(message('a')), 2)
  assert.deepEqual([one.got, two.got], [['1 a', '3 b'], ['2 a']])
  assert.equal(router.publish(message('a')), 1)
  assert.match(router.newInbox(), /^_INBOX\.f{22}$/)
})
