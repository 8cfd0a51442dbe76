/**
 * Loaded into the run of node-nats-streaming's own tests before them: starts and stops the server where their harness would.
 * That one waits half a second for a server to listen, and not at all for the last one on the port to end, which holds for a
 * program that starts within 50 ms. This one waits for both, and ends a server at once: where a test goes on behind the end, it means one
 * that is gone, and asks it something in the same moment. What is tested, and how a server is started, are the same.
 */
'use strict'

const { spawn } = require('node:child_process')
const { connect } = require('node:net')
const { tmpdir } = require('node:os')
const { join, resolve } = require('node:path')

const LISTENS_WITHIN_MS = 8_000
const ATTEMPT_EVERY_MS = 30

/** Port -> when its last server has ended. */
const lastOf = new Map()
const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

class Server {
  constructor(port, flags, done) {
    this.child = null
    this.isKilled = false
    const last = lastOf.get(port) ?? Promise.resolve()
    const ended = last.then(() => this.run(port, flags, done))
    lastOf.set(port, ended)
  }

  /** Resolves when the process has ended. */
  run(port, flags, done) {
    if (this.isKilled) return Promise.resolve()
    const child = spawn('nats-streaming-server', flags, { stdio: ['ignore', 'ignore', 'inherit'] })
    this.child = child
    running.add(child)
    untilListens(port, done)
    return new Promise((settle) => {
      child.once('exit', () => {
        running.delete(child)
        settle()
      })
      child.once('error', settle)
    })
  }

  kill() {
    this.isKilled = true
    return this.child === null || this.child.kill('SIGKILL')
  }
}

function untilListens(port, done = () => undefined) {
  const until = Date.now() + LISTENS_WITHIN_MS
  const attempt = () => {
    const socket = connect(port, 'localhost')
    socket.once('connect', () => {
      socket.destroy()
      done()
    })
    socket.once('error', (error) => {
      if (Date.now() > until) done(error)
      else setTimeout(attempt, ATTEMPT_EVERY_MS)
    })
  }
  attempt()
}

const control = require(resolve('test/support/stan_server_control.js'))
control.start_server = (port, flags, done) => {
  const more = Array.isArray(flags) ? flags : []
  const log = join(tmpdir(), `stan_log_${port}.log`)
  return new Server(
    port,
    ['-p', String(port), '-SDV', '-log', log, ...more],
    typeof flags === 'function' ? flags : done,
  )
}
