/**
 * Many connections that say a little and stay.
 */
import type { Socket } from 'node:net'
import { offer } from '../harness/calls.js'
import { openSmall, Progress } from '../harness/raw-socket.js'
import { command } from '../wire/resp.js'
import { LineCounter } from '../wire/resp-lines.js'

const ANSWER_MS_MAX = 30_000

interface Member {
  readonly socket: Socket
  readonly answers: LineCounter
}

let progress = new Progress()
let members: Member[] = []

const api = {
  async open({ port, connections }: { port: number; connections: number }): Promise<void> {
    for (let index = 0; index < connections; index++) {
      const answers = new LineCounter()
      const own = progress
      const socket = await openSmall(port, own, (chunk) => {
        answers.feed(chunk)
        own.made()
      })
      members.push({ socket, answers })
    }
  },

  /** The same of each of them, with its number for every `#`; until each was answered with so many lines. */
  async say({ requests, lines }: { requests: readonly string[][]; lines: number }): Promise<void> {
    const due = members.map(({ answers }) => answers.lines + lines)
    for (const [index, { socket }] of members.entries()) {
      const all = requests.map((words) => command(...words.map((word) => word.replaceAll('#', String(index)))))
      socket.write(Buffer.concat(all))
    }
    await progress.until(
      () => members.every(({ answers }, index) => answers.lines >= (due[index] ?? 0)),
      ANSWER_MS_MAX,
      () => 'not all were answered',
    )
  },

  async close(_: null): Promise<void> {
    // What happens to these connections from now on is nobody's failure.
    progress = new Progress()
    for (const { socket } of members) socket.destroy()
    members = []
  },
}

export type RespCrowdApi = typeof api

offer(api)
