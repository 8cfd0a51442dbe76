/** The table of limits, as people and tools know it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitLines } from '../../../src/cli/nats-streaming/banner.js'
import {
  DEFAULT_CHANNEL_LIMITS,
  DEFAULT_CHANNELS_MAX,
  LimitsByChannel,
} from '../../../src/gateways/nats-streaming/streaming/store-limits.js'

test('the limits of nobody’s choice are shown as the original shows them', () => {
  assert.deepEqual(limitLines(new LimitsByChannel(DEFAULT_CHANNELS_MAX, DEFAULT_CHANNEL_LIMITS)), [
    '---------- Store Limits ----------',
    'Channels:                  100 *',
    '--------- Channels Limits --------',
    '  Subscriptions:          1000 *',
    '  Messages     :       1000000 *',
    '  Bytes        :     976.56 MB *',
    '  Age          :     unlimited *',
    '  Inactivity   :     unlimited *',
    '----------------------------------',
  ])
})

test('TestPerChannelLimitsSetToUnlimitedPrintedCorrectly: what differs from the wider pattern is shown within it', () => {
  const overrides = new Map([
    ['foo', { messagesMax: null }],
    ['bar.>', { ageMsMax: 90_000 }],
    ['bar.*', { bytesMax: 2_048 }],
  ])
  const lines = limitLines(new LimitsByChannel(null, { ...DEFAULT_CHANNEL_LIMITS, subscriptionsMax: 5 }, overrides))
  assert.deepEqual(lines.slice(1, 4), [
    'Channels:            unlimited',
    '--------- Channels Limits --------',
    '  Subscriptions:             5',
  ])
  assert.deepEqual(lines.slice(8, -1), [
    '-------- List of Channels --------',
    'bar.>',
    ' |-> Age                   1m30s',
    '  bar.*',
    '   |-> Bytes               2.00 KB',
    'foo',
    ' |-> Messages          unlimited',
  ])
})
