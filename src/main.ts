/**
 * The process: hands its streams, signals and time to the command line, and ends with the code it answers.
 * Started by bin/leveret.js; decides nothing itself.
 */
import { fstatSync } from 'node:fs'
import { constants } from 'node:os'
import process from 'node:process'
import { MessageChannel } from 'node:worker_threads'
import { runCommandLine } from './cli/args.js'
import { Interruption } from './cli/interruption.js'
import { systemClock } from './common/clock.js'

const interruption = new Interruption(systemClock, (name) => process.exit(128 + constants.signals[name]))
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => interruption.ask(name))

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
  onSignals(listeners) {
    for (const [name, listener] of Object.entries(listeners)) process.on(name, listener)
    return () => {
      for (const [name, listener] of Object.entries(listeners)) process.off(name, listener)
    }
  },
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
