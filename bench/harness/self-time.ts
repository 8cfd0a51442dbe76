/**
 * Where a profiled process spent its time: functions by the time spent in themselves.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** The `most` costliest functions of every profile in the folder, as lines. */
export function selfTimes(folder: string, most: number): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.cpuprofile'))
    .flatMap((name) => [join(folder, name), ...linesOf(join(folder, name), most)])
}

function linesOf(file: string, most: number): string[] {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile
  const names = new Map(
    profile.nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => {
      const place = url.replace(/^.*\/(?=(?:src|client|node_modules)\/)/, '')
      return [id, `${functionName || '(anonymous)'} ${place}${place === '' ? '' : `:${lineNumber + 1}`}`]
    }),
  )
  const micros = new Map<string, number>()
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? ''
    micros.set(name, (micros.get(name) ?? 0) + (profile.timeDeltas[index] ?? 0))
  }
  const all = sumOf(micros)
  micros.delete('(idle) ')
  const busy = sumOf(micros)
  const top = [...micros]
    .sort(([, a], [, b]) => b - a)
    .slice(0, most)
    .map(([name, spent]) => `  ${((100 * spent) / busy).toFixed(1).padStart(5)}%  ${name}`)
  return [`  busy ${((100 * busy) / all).toFixed(0)}% of ${(all / 1e6).toFixed(1)} s, of which`, ...top]
}

function sumOf(micros: ReadonlyMap<string, number>): number {
  return [...micros.values()].reduce((sum, each) => sum + each, 0)
}
