/**
 * A thousand programs with `node-nats-streaming` at once, through a `kill -9` of their server: their libraries connect again, nobody
 * asks for anything anew, and each gets what is new, once.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect, type Stan } from 'node-nats-streaming'
import { MortalServer, pause } from '../helpers/kill-server.js'
import { freePort } from '../helpers/kill-stan.js'

const CLIENTS = 1_000
const CHANNELS = 20
/** Clients that connect at the same time, at first. */
const WAVE = 100
const RECONNECTED_WITHIN_MS = 10_000

/** With what came to it. */
interface Program {
  readonly client: Stan
  readonly got: string[]
  reconnects: number
}

test('all programs of a crowd go on after their server was killed (R22)', { timeout: 120_000 }, async (t) => {
  const port = await freePort()
  const server = await MortalServer.make(['--nats-streaming', String(port), '--connections-max', '3000'])
  const programs: Program[] = []
  t.after(async () => {
    const closed = programs.map(({ client }) => once(client, 'close'))
    for (const { client } of programs) client.close()
    if (server.isRunning) await Promise.all(closed)
    await server.remove()
  })
  await server.start()
  for (let first = 0; first < CLIENTS; first += WAVE) {
    const wave = Array.from({ length: WAVE }, (_, index) => start(port, first + index))
    programs.push(...(await Promise.all(wave)))
  }
  const speaker = programs[0]?.client as Stan
  await publishAll(speaker, 'before')
  await allHave(programs, ['before'])

  await server.kill()
  await server.start()
  const startMs = performance.now()
  while (programs.some(({ reconnects }) => reconnects === 0)) {
    assert.ok(performance.now() - startMs < RECONNECTED_WITHIN_MS, 'some did not connect again')
    await pause(20)
  }
  t.diagnostic(`${CLIENTS} clients were back after ${Math.round(performance.now() - startMs)} ms`)
  await publishAll(speaker, 'after')
  await allHave(programs, ['before', 'after'])
})

async function start(port: number, index: number): Promise<Program> {
  const client = connect('test-cluster', `program-${index}`, {
    url: `nats://127.0.0.1:${port}`,
    reconnectTimeWait: 200,
    maxReconnectAttempts: -1,
    connectTimeout: 20_000,
    stanMaxPingOut: 10,
  })
  await once(client, 'connect')
  const program: Program = { client, got: [], reconnects: 0 }
  client.on('reconnect', () => {
    program.reconnects++
  })
  const subscription = client.subscribe(`channel-${index % CHANNELS}`)
  subscription.on('message', (message) => {
    // What was acked as the server died may come again, and says so.
    if (!(message.isRedelivered() && program.got.includes(String(message.getData())))) {
      program.got.push(String(message.getData()))
    }
  })
  await once(subscription, 'ready')
  return program
}

async function publishAll(client: Stan, text: string): Promise<void> {
  for (let channel = 0; channel < CHANNELS; channel++) {
    await new Promise<void>((resolve, reject) => {
      client.publish(`channel-${channel}`, text, (error) => (error ? reject(error) : resolve()))
    })
  }
}

async function allHave(programs: readonly Program[], texts: readonly string[]): Promise<void> {
  while (programs.some(({ got }) => got.length < texts.length)) await pause(20)
  await pause(200)
  for (const { got } of programs) assert.deepEqual(got, texts)
}
