/**
 * The process: hands its streams, signals and time to the command line, and ends with the code it answers.
 * Started by bin/leveret.js; decides nothing itself.
 */
import { fstatSync } from 'node:fs'
import { constants } from 'node:os'
import process from 'node:process'
import { MessageChannel } from 'node:worker_threads'
import { runCommandLine } from './cli/args.js'
import { systemClock } from './common/clock.js'

const interruption = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Whoever asks twice does not want to wait for the drain.
    if (interruption.signal.aborted) process.exit(128 + constants.signals[signal])
    interruption.abort(signal)
  })
}

// Most timers of leveret do not hold a process, and a command may for a while be waiting for nothing but one.
const { port1: hold } = new MessageChannel()
hold.ref()

// A reader that went away, as `| head` does, is no defect; whoever writes records hears of all else itself.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

process.exitCode = await runCommandLine(process.argv.slice(2), {
  get stdin() {
    return process.stdin
  },
  get stdinBytes() {
    return stdinBytes()
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  clock: systemClock,
  interrupted: interruption.signal,
})
hold.close()

function stdinBytes(): number | null {
  try {
    const stat = fstatSync(0)
    return stat.isFile() ? stat.size : null
  } catch {
    return null // a closed standard input has no size
  }
}
