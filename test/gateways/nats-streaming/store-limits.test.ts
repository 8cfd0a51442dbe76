/** Names of channels, and the limits of each: rows TestLimits* of the original's acceptance list. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../src/common/errors.js'
import { isChannelName, isChannelPattern } from '../../../src/gateways/nats-streaming/streaming/channel-names.js'
import {
  type ChannelLimits,
  type ChannelOverrides,
  DEFAULT_CHANNEL_LIMITS,
  LimitsByChannel,
} from '../../../src/gateways/nats-streaming/streaming/store-limits.js'

const GLOBAL: ChannelLimits = {
  messagesMax: 11,
  bytesMax: 12,
  ageMsMax: 13,
  subscriptionsMax: 14,
  inactivityMsMax: 15,
}

const INHERITANCE: readonly [name: string, set: ChannelOverrides, effective: string][] = [
  ['*.>', { subscriptionsMax: 5 }, '11/12/13/5/15'],
  ['*.*', { bytesMax: 2 }, '11/2/13/5/15'],
  ['foo.>', { messagesMax: 10 }, '10/2/13/5/15'],
  ['foo.*.>', { bytesMax: 20 }, '10/20/13/5/15'],
  ['foo.*.*.>', { ageMsMax: 30 }, '10/20/30/5/15'],
  ['foo.a.b.c', { subscriptionsMax: 40 }, '10/20/30/40/15'],
  ['foo.d.e.f', { messagesMax: 50, ageMsMax: 60 }, '50/20/60/5/15'],
  ['foo.baz', { bytesMax: 70, subscriptionsMax: 80 }, '10/70/13/80/15'],
  ['bar.*.>', { messagesMax: 90 }, '90/12/13/5/15'],
  ['bar.baz.>', { bytesMax: 100, inactivityMsMax: 110 }, '90/100/13/5/110'],
  ['bar.baz.boz', { inactivityMsMax: 120 }, '90/100/13/5/120'],
  ['bar.baz.bat', { inactivityMsMax: 110 }, '90/100/13/5/110'],
]

function shown(limits: ChannelLimits): string {
  const { messagesMax, bytesMax, ageMsMax, subscriptionsMax, inactivityMsMax } = limits
  return [messagesMax, bytesMax, ageMsMax, subscriptionsMax, inactivityMsMax].map((value) => value ?? '-').join('/')
}

test('takes what an entry leaves open from the next wider one (TestLimitsInheritance)', () => {
  for (const order of [INHERITANCE, INHERITANCE.toReversed()]) {
    const limits = new LimitsByChannel(100, GLOBAL, new Map(order.map(([name, set]) => [name, set])))
    const effective = new Map(limits.entries.map((entry) => [entry.name, shown(entry.limits)]))
    for (const [name, , wanted] of INHERITANCE) assert.equal(effective.get(name), wanted, name)
  }
})

test('gives a channel the limits of the narrowest entry that speaks of it', () => {
  const limits = new LimitsByChannel(100, GLOBAL, new Map(INHERITANCE.map(([name, set]) => [name, set])))
  assert.equal(shown(limits.of('foo.a.b.c')), '10/20/30/40/15')
  assert.equal(shown(limits.of('foo.a.b.d')), '10/20/30/5/15')
  assert.equal(shown(limits.of('foo.x.y')), '10/20/13/5/15')
  assert.equal(shown(limits.of('foo.x')), '10/2/13/5/15')
  assert.equal(shown(limits.of('any.thing')), '11/2/13/5/15')
  assert.equal(shown(limits.of('foo')), '11/12/13/14/15')
})

test('lists entries from wide to narrow (TestLimitsPrint)', () => {
  const limits = new LimitsByChannel(100, GLOBAL, new Map(INHERITANCE.toReversed().map(([name, set]) => [name, set])))
  assert.deepEqual(
    limits.entries.map(({ name }) => name),
    [
      '*.>',
      '*.*',
      'bar.*.>',
      'bar.baz.>',
      'bar.baz.bat',
      'bar.baz.boz',
      'foo.>',
      'foo.*.>',
      'foo.*.*.>',
      'foo.a.b.c',
      'foo.baz',
      'foo.d.e.f',
    ],
  )
})

test('lets a channel be unlimited where others are not (TestUnlimitedPerChannelLimits, TestLimitsPerChannelOverride)', () => {
  const overrides = new Map<string, ChannelOverrides>([
    ['foo', { messagesMax: null, inactivityMsMax: null }],
    ['bar', { bytesMax: 1 }],
  ])
  const limits = new LimitsByChannel(2, GLOBAL, overrides)
  assert.equal(shown(limits.of('foo')), '-/12/13/14/-')
  assert.equal(shown(limits.of('bar')), '11/1/13/14/15')
})

test('is not changed by what happens to the entries it was made of (TestLimitsClone)', () => {
  const own: { -readonly [Key in keyof ChannelLimits]?: ChannelLimits[Key] } = { messagesMax: 1 }
  const overrides = new Map<string, ChannelOverrides>([['foo', own]])
  const limits = new LimitsByChannel(2, GLOBAL, overrides)
  own.messagesMax = 7
  overrides.clear()
  assert.equal(limits.of('foo').messagesMax, 1)
})

test('counts names against the limit of channels, and patterns not (TestLimitsWildcardsDontCountForMaxChannels)', () => {
  const named = (...names: string[]) => new Map(names.map((name) => [name, { messagesMax: 1 }]))
  assert.doesNotThrow(() => new LimitsByChannel(1, GLOBAL, named('foo', 'foo.*', '>', 'bar.>')))
  assert.doesNotThrow(() => new LimitsByChannel(null, GLOBAL, named('foo', 'bar')))
  assertRefused(
    () => new LimitsByChannel(1, GLOBAL, named('foo', 'bar')),
    'too many channels defined (2). The max channels limit is set to 1',
  )
})

test('refuses names and limits that cannot be (TestLimitsBuildErrors)', () => {
  for (const name of ['foo.', '.foo', 'foo..bar', 'foo*', 'foo.b>r', '>.foo', 'a/b', '']) {
    const build = () => new LimitsByChannel(1, GLOBAL, new Map([[name, {}]]))
    assertRefused(build, `invalid channel name "${name}"`)
  }
  const negative = { ...DEFAULT_CHANNEL_LIMITS, ageMsMax: -3 }
  assertRefused(() => new LimitsByChannel(1, negative), 'max age limit cannot be negative (-3ms)')
  assertRefused(() => new LimitsByChannel(-1, GLOBAL), 'max channels limit cannot be negative (-1)')
})

test('takes nearly everything for the name of a channel', () => {
  for (const name of ['foo', 'foo.bar', 'foo bar', 'Füße:1', 'a-b_c', '$']) assert.ok(isChannelName(name), name)
  for (const name of ['', '.', 'foo.', '.foo', 'a..b', 'a/b', '*', 'a.*', 'foo*', '>', 'a.>', 'a>b']) {
    assert.ok(!isChannelName(name), name)
  }
})

test('takes wildcards in a pattern as whole tokens only', () => {
  for (const pattern of ['>', '*', 'foo.*', '*.foo.>', 'foo']) assert.ok(isChannelPattern(pattern), pattern)
  for (const pattern of ['>.>', 'foo.>.bar', 'foo*', '*foo', 'a.b>', '', '.>']) {
    assert.ok(!isChannelPattern(pattern), pattern)
  }
})

function assertRefused(build: () => unknown, message: string): void {
  assert.throws(build, (error) => error instanceof ConfigError && error.message === message)
}
