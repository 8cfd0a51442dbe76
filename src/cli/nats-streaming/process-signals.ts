/** `--signal`: finds the server that is meant and tells it to stop, end, open its log anew or read its settings anew. */
import { readdirSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import process from 'node:process'

const SERVER = 'nats-streaming-server'
const SIGNALS: Readonly<Record<string, NodeJS.Signals>> = {
  stop: 'SIGKILL',
  quit: 'SIGINT',
  reopen: 'SIGUSR1',
  reload: 'SIGHUP',
}

/** `stop`, or `stop=<pid>`. What went wrong, or null. */
export function sendSignal(asked: string): string | null {
  const [word = '', pid] = asked.split('=')
  const signal = SIGNALS[word]
  if (signal === undefined) return `unknown signal ${JSON.stringify(word)}`
  if (pid !== undefined && !/^[1-9]\d*$/.test(pid)) return `invalid pid: ${pid}`
  const found = pid === undefined ? runningServers() : [Number(pid)]
  const [only] = found
  if (only === undefined) return `no ${SERVER} processes running`
  if (found.length > 1) return `multiple ${SERVER} processes running:\n${found.join('\n')}`
  try {
    process.kill(only, signal)
    return null
  } catch (error) {
    return `process ${only} cannot be told: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** By what the system shows of its processes, where it shows them in files; elsewhere a pid is needed. */
function runningServers(): readonly number[] {
  try {
    return readdirSync('/proc')
      .map(Number)
      .filter((pid) => Number.isInteger(pid) && pid !== process.pid && pid !== process.ppid && isServer(pid))
  } catch {
    return []
  }
}

function isServer(pid: number): boolean {
  try {
    // The program, its script, and the subcommand of `leveret`.
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, 3)
    return words.some((word) => basename(word, '.js') === SERVER)
  } catch {
    return false // it ended meanwhile
  }
}
