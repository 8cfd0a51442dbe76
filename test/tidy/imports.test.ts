import assert from 'node:assert/strict'
import { test } from 'node:test'
import { barrels, brokenImports, cycles, deadFiles, wrongDirections } from './imports.js'
import type { Source } from './scan.js'

/** A file that imports the given targets, written as they would be from the root. */
function source(path: string, ...targets: string[]): Source {
  const up = '../'.repeat(path.split('/').length - 1)
  return { path, text: targets.map((target, index) => `import { x${index} } from '${up}${target}'\n`).join('') }
}

const LEGAL: readonly (readonly [string, string])[] = [
  ['src/app.ts', 'src/session/native-session.js'],
  ['src/app.ts', 'src/storage/open-engine.js'],
  ['src/index.ts', 'src/app.js'],
  ['src/main.ts', 'src/cli/args.js'],
  ['src/session/dispatch.ts', 'src/broker/broker.js'],
  ['src/session/dispatch.ts', 'src/protocol/frames.js'],
  ['src/session/dispatch.ts', 'src/session/subscription-manager.js'],
  ['src/broker/topic-controller.ts', 'src/storage/engine.js'],
  ['src/broker/topic-controller.ts', 'src/groups/ack-tracker.js'],
  ['src/broker/topic-controller.ts', 'src/metrics/registry.js'],
  ['src/groups/ack-tracker.ts', 'src/storage/engine.js'],
  ['src/storage/local/local-engine.ts', 'src/storage/store.js'],
  ['src/storage/local/local-engine.ts', 'src/storage/local/partition.js'],
  ['src/storage/open-engine.ts', 'src/storage/local/local-engine.js'],
  ['src/gateways/resp/gateway.ts', 'src/gateways/gateway.js'],
  ['src/gateways/resp/dialects/floki.ts', 'src/gateways/resp/resp-codec.js'],
  ['src/cli/commands/serve.ts', 'src/app.js'],
  ['src/cli/commands/pub.ts', 'client/index.js'],
  ['src/model/topic.ts', 'src/common/errors.js'],
  ['client/subscription.ts', 'src/protocol/frames.js'],
  ['examples/echo.ts', 'client/index.js'],
  ['test/broker/ring.test.ts', 'src/storage/log/segment.js'],
]

const ILLEGAL: readonly (readonly [string, string])[] = [
  ['src/transport/connection.ts', 'src/protocol/frames.js'],
  ['src/protocol/decode.ts', 'src/session/dispatch.js'],
  ['src/session/dispatch.ts', 'src/storage/engine.js'],
  ['src/session/dispatch.ts', 'src/app.js'],
  ['src/session/dispatch.ts', 'src/config/schema.js'],
  ['src/broker/broker.ts', 'src/session/dispatch.js'],
  ['src/broker/broker.ts', 'src/gateways/gateway.js'],
  ['src/broker/broker.ts', 'src/storage/store.js'],
  ['src/groups/ack-tracker.ts', 'src/broker/broker.js'],
  ['src/storage/engine.ts', 'src/broker/broker.js'],
  ['src/storage/log/segment.ts', 'src/storage/memory/memory-store.js'],
  ['src/storage/log/segment.ts', 'src/storage/open-engine.js'],
  ['src/app.ts', 'src/storage/memory/memory-store.js'],
  ['src/gateways/resp/gateway.ts', 'src/gateways/http/gateway.js'],
  ['src/gateways/resp/gateway.ts', 'src/protocol/frames.js'],
  ['src/cli/commands/pub.ts', 'src/broker/broker.js'],
  ['src/model/topic.ts', 'src/broker/broker.js'],
  ['src/common/clock.ts', 'src/config/schema.js'],
  ['src/new-room/thing.ts', 'src/broker/broker.js'],
  ['client/connection.ts', 'src/broker/broker.js'],
  ['client/connection.ts', 'src/metrics/registry.js'],
  ['examples/echo.ts', 'client/connection.js'],
  ['examples/echo.ts', 'src/common/clock.js'],
]

test('lets imports through that follow the map', () => {
  for (const [from, to] of LEGAL) assert.deepEqual(wrongDirections([source(from, to)]), [], `${from} -> ${to}`)
})

test('complains of imports against the map', () => {
  for (const [from, to] of ILLEGAL) {
    const complaints = wrongDirections([source(from, to)])
    assert.equal(complaints.length, 1, `${from} -> ${to}`)
    assert.ok(complaints[0]?.startsWith(`${from}:1 `), complaints[0])
  }
})

test('complains of input and output in codecs', () => {
  const text = "import { connect } from 'node:net'\nimport { isUtf8 } from 'node:buffer'\n"
  assert.deepEqual(wrongDirections([{ path: 'src/protocol/wire.ts', text }]), [
    'src/protocol/wire.ts:1 a codec does no I/O: node:net',
  ])
  assert.deepEqual(wrongDirections([{ path: 'src/transport/connection.ts', text }]), [])
})

test('finds cycles, those of types too', () => {
  const sources = [
    source('src/broker/a.ts', 'src/broker/b.js'),
    source('src/broker/b.ts', 'src/broker/c.js'),
    { path: 'src/broker/c.ts', text: "import type { A } from './a.js'" },
    source('src/broker/d.ts', 'src/broker/a.js'),
  ]
  assert.deepEqual(cycles(sources), [
    'src/broker/a.ts -> src/broker/b.ts -> src/broker/c.ts -> src/broker/a.ts is a cycle',
  ])
  assert.deepEqual(cycles(sources.slice(0, 2)), [])
})

test('finds files that no entry reaches', () => {
  const sources = [
    source('src/main.ts', 'src/app.js'),
    source('src/app.ts'),
    source('client/index.ts', 'client/connection.js'),
    source('client/connection.ts'),
    source('src/broker/forgotten.ts', 'src/app.js'),
  ]
  assert.deepEqual(deadFiles(sources), ['src/broker/forgotten.ts is reached by no entry'])
})

test('finds imports of files that do not exist', () => {
  const sources = [source('src/app.ts', 'src/broker/gone.js')]
  assert.deepEqual(brokenImports(sources), ['src/app.ts:1 imports src/broker/gone.ts, which does not exist'])
})

test('finds barrels beside the two doors', () => {
  const handsOn = "export * from './broker.js'"
  assert.deepEqual(barrels([{ path: 'src/index.ts', text: handsOn }]), [])
  assert.deepEqual(barrels([{ path: 'src/broker/index.ts', text: handsOn }]), [
    'src/broker/index.ts is named like a barrel',
    'src/broker/index.ts:1 hands on ./broker.js',
  ])
})
