/**
 * `leveret groups`: who reads a topic and how far they have come, and moving, holding or forgetting them.
 */
import type { Client, From, GroupDescription } from '../../../client/index.js'
import { type ClientOptions, withClient } from '../open-client.js'
import { shortTime } from '../sizes.js'
import { EXIT_OK, LineOutput, type Terminal } from '../terminal.js'

export interface SeekGroupOptions extends ClientOptions {
  readonly partition?: number
}

/** One attempt is enough where somebody waits for a prompt. */
const ONCE = { reconnect: false } as const

/** Of one topic, or of all. */
export function listGroups(topic: string | undefined, options: ClientOptions, terminal: Terminal): Promise<number> {
  const { interrupted: signal } = terminal
  const work = async (client: Client): Promise<number> => {
    const output = new LineOutput(terminal.stdout)
    const listed: object[] = []
    for (const name of topic === undefined ? await client.topics({ signal }) : [topic]) {
      for (const group of await client.groups(name, { signal })) {
        if (options.json === true) listed.push({ topic: name, ...group })
        else if (!output.write(listLine(name, group))) await output.ready()
      }
    }
    if (options.json === true) output.write(JSON.stringify(listed))
    await output.end()
    return EXIT_OK
  }
  return withClient(options, terminal, work, ONCE)
}

export function describeGroup(topic: string, name: string, options: ClientOptions, terminal: Terminal) {
  const print = async (client: Client): Promise<number> => {
    const group = await client.describeGroup(topic, name, { signal: terminal.interrupted })
    await printGroup(topic, group, options, terminal)
    return EXIT_OK
  }
  return withClient(options, terminal, print, ONCE)
}

/** The group as it is then is printed: what happened is what was meant. */
export function seekGroup(topic: string, name: string, from: From, options: SeekGroupOptions, terminal: Terminal) {
  const { partition } = options
  return changeGroup(topic, name, options, terminal, (client) =>
    client.seekGroup(topic, name, from, { signal: terminal.interrupted, partition }),
  )
}

export function pauseGroup(topic: string, name: string, options: ClientOptions, terminal: Terminal) {
  return changeGroup(topic, name, options, terminal, (client) =>
    client.pauseGroup(topic, name, { signal: terminal.interrupted }),
  )
}

export function resumeGroup(topic: string, name: string, options: ClientOptions, terminal: Terminal) {
  return changeGroup(topic, name, options, terminal, (client) =>
    client.resumeGroup(topic, name, { signal: terminal.interrupted }),
  )
}

export function deleteGroup(topic: string, name: string, options: ClientOptions, terminal: Terminal): Promise<number> {
  const work = async (client: Client): Promise<number> => {
    await client.deleteGroup(topic, name, { signal: terminal.interrupted })
    const output = new LineOutput(terminal.stdout)
    output.write(options.json === true ? JSON.stringify({ topic, deleted: name }) : `deleted group ${name} of ${topic}`)
    await output.end()
    return EXIT_OK
  }
  return withClient(options, terminal, work, ONCE)
}

function changeGroup(
  topic: string,
  name: string,
  options: ClientOptions,
  terminal: Terminal,
  change: (client: Client) => Promise<void>,
): Promise<number> {
  const work = async (client: Client): Promise<number> => {
    await change(client)
    const group = await client.describeGroup(topic, name, { signal: terminal.interrupted })
    await printGroup(topic, group, options, terminal)
    return EXIT_OK
  }
  return withClient(options, terminal, work, ONCE)
}

async function printGroup(topic: string, group: GroupDescription, options: ClientOptions, terminal: Terminal) {
  const output = new LineOutput(terminal.stdout)
  if (options.json === true) output.write(JSON.stringify({ topic, ...group }))
  else for (const line of linesOf(topic, group)) if (!output.write(line)) await output.ready()
  await output.end()
}

function listLine(topic: string, { name, mode, lag, inFlight, isPaused }: GroupDescription): string {
  return `${topic}  ${name}  ${mode}  lag ${lag}${mode === 'shared' ? `  in flight ${inFlight}` : ''}${isPaused ? '  paused' : ''}`
}

function linesOf(topic: string, group: GroupDescription): string[] {
  const { name, mode, isPaused, generation, lag, inFlight, oldestMs, partitions, members } = group
  const { redeliveries, expired, deadLetters, rebalances, fenced } = group
  const lines = [
    `topic        ${topic}`,
    `group        ${name}`,
    `mode         ${mode}${isPaused ? ', paused' : ''}`,
    `lag          ${records(lag)}${inFlightText(mode, inFlight)}`,
    `oldest       ${oldestText(mode, oldestMs)}`,
  ]
  if (mode === 'shared') {
    lines.push(`counted      ${redeliveries} redelivered, ${expired} expired, ${deadLetters} dead letters`)
  } else lines.push(`counted      generation ${generation}, ${rebalances} rebalances, ${fenced} commits fenced`)
  for (const { partition, position, end, lag: behind, inFlight: out, member } of partitions) {
    const reader = mode === 'shared' ? '' : `, ${member === '' ? 'nobody reads it' : `read by ${member}`}`
    lines.push(`partition ${partition}  at ${position} of ${end}, lag ${behind}${inFlightText(mode, out)}${reader}`)
  }
  for (const member of members) {
    const has =
      mode === 'shared'
        ? `holds ${records(member.held)}, ${member.expired} expired`
        : `partitions ${member.partitions.join(' ') || 'none'}`
    const silence = member.silentMs === null ? '' : `, silent for ${shortTime(member.silentMs)}`
    lines.push(`member ${member.name === '' ? '(no name)' : member.name}  ${has}${silence}`)
  }
  if (members.length === 0) lines.push('members      none')
  return lines
}

/** Of others a position is known, and not what was read beyond it. */
function inFlightText(mode: GroupDescription['mode'], inFlight: number): string {
  return mode === 'shared' ? `, ${inFlight} in flight` : ''
}

function oldestText(mode: GroupDescription['mode'], oldestMs: number | null): string {
  if (mode === 'shared') return oldestMs === null ? 'nothing given out' : `given out ${shortTime(oldestMs)} ago`
  return oldestMs === null ? 'nothing to be done' : `to be done for ${shortTime(oldestMs)}`
}

function records(count: number): string {
  return count === 1 ? '1 record' : `${count} records`
}
