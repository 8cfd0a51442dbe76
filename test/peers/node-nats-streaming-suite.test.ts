/**
 * The tests that node-nats-streaming has of its own, as they are, against `nats-streaming-server`. Three cannot run: those of
 * stan_connection_lost.js lead clients through NATS servers joined by routes to a streaming server behind them (`-ns`), and
 * leveret is the NATS server itself. What they hold a server to is in node-nats-streaming.test.ts: a program whose server is
 * away, forgot it, or has replaced it hears of that by its pings.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findStanSuite, runStanSuite } from '../helpers/stan-suite.js'

/** As many as there were when this was written; a file that lost its tests is no success. */
const FILES = { 'basics.js': 34, 'connect.js': 11, 'stan_connect.js': 12 }

/** It counts what a client does within half a second that has no server at all; a busy machine is enough to fail it. */
const WITHOUT_SERVER = 'should emit connecting events and try repeatedly if configured and no server available'

const suite = findStanSuite()

for (const [file, testsMin] of Object.entries(FILES)) {
  test(`${file} passes`, { skip: suite.found ? false : suite.skip, timeout: 170_000 }, async (t) => {
    assert.ok(suite.found)
    const { passes, failures, pending } = await runStanSuite(suite.folder, file)
    t.diagnostic(`${passes.length} passed, ${failures.length} failed, ${pending.length} left out`)
    assert.deepEqual(
      failures
        .filter(({ fullTitle }) => !fullTitle.endsWith(WITHOUT_SERVER))
        .map(({ fullTitle, err }) => `${fullTitle}: ${err.message}`),
      [],
    )
    assert.deepEqual(pending, [])
    assert.ok(passes.length + failures.length >= testsMin, `only ${passes.length} passed`)
  })
}
