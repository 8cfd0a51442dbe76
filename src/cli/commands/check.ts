/**
 * `leveret check`: verifies a data directory that no server is using, and with `--repair` puts right what can be without
 * loss. Its exit code: 0 sound, 1 something is damaged or is left to repair, 2 nothing can be said.
 */
import { LeveretError } from '../../common/errors.js'
import { loadConfig } from '../../config/load.js'
import type { CheckReport, Finding } from '../../storage/check-report.js'
import { checkStore } from '../../storage/open-engine.js'
import { Progress } from '../progress.js'
import { isSystemError, systemErrorText } from '../system-errors.js'
import { EXIT_FAILURE, EXIT_OK, EXIT_USAGE, LineOutput, say, type Terminal } from '../terminal.js'

export interface CheckOptions {
  readonly repair?: boolean
  readonly json?: boolean
  readonly encryptionKeyFile?: string
  readonly config?: string
}

/** Throws ConfigError. */
export async function check(data: string, options: CheckOptions, terminal: Terminal): Promise<number> {
  const { encryptionKeyFile, config: file } = options
  const config = loadConfig({ env: terminal.env, flags: { encryptionKeyFile, config: file } })
  const output = new LineOutput(terminal.stdout)
  const progress = new Progress(terminal)
  try {
    const report = await checkStore(config, {
      data,
      isRepair: options.repair === true,
      onFinding: (finding) => {
        if (options.json === true) return
        progress.clear()
        output.write(lineOf(finding))
      },
      onProgress: (records, bytes, totalBytes) => progress.update(records, bytes, totalBytes),
      signal: terminal.interrupted,
    })
    progress.clear()
    if (options.json === true) output.write(JSON.stringify({ data, isRepair: options.repair === true, ...report }))
    else for (const line of summaryOf(report, progress.elapsedMs)) output.write(line)
    await output.end()
    return report.isSound ? EXIT_OK : EXIT_FAILURE
  } catch (error) {
    progress.clear()
    await output.end()
    return cannotTell(error, terminal)
  }
}

/** Neither sound nor damaged: what was asked for could not be looked at. */
function cannotTell(error: unknown, terminal: Terminal): number {
  const isTold = error instanceof LeveretError && error.code !== 'LVT_INTERNAL' && error.code !== 'LVT_CONFIG_INVALID'
  if (isTold) say(terminal, error.message)
  else if (isSystemError(error)) say(terminal, systemErrorText(error))
  else throw error
  return EXIT_USAGE
}

function lineOf({ severity, topic, partition, offsets, file, position, message, isRepaired }: Finding): string {
  const place = [
    topic === null ? null : `topic ${plain(JSON.stringify(topic))}`,
    partition === null ? null : `partition ${partition}`,
    offsets === null ? null : offsetsText(offsets),
  ].filter((part) => part !== null)
  const where = position === null ? plain(file) : `${plain(file)} at ${position}`
  const about = place.length === 0 ? '' : `${place.join(', ')}: `
  return `${isRepaired ? 'repaired' : severity}: ${about}${plain(message)} (${where})`
}

function offsetsText({ from, to }: { readonly from: number; readonly to: number }): string {
  return to - from === 1 ? `offset ${from}` : `offsets ${from} to ${to - 1}`
}

/** Names are what peers and file systems made them: nothing in them may move the cursor or turn the text around. */
function plain(text: string): string {
  const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu
  return text.replace(unseen, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

function summaryOf({ totals, counts, findings, isSound, isClosed }: CheckReport, elapsedMs: number): string[] {
  const { topics, partitions, segments, batches, records, bytes } = totals
  const all = counts.damage + counts.repairable + counts.note
  const rate = Math.round(bytes / 1024 / 1024 / Math.max(elapsedMs / 1000, 0.001))
  const lines = [
    `${topics} topics, ${partitions} partitions, ${segments} segments, ${batches} batches, ${records} records, ` +
      `${(bytes / 1024 / 1024).toFixed(1)} MiB (${rate} MiB/s)${isClosed ? '' : '; not closed cleanly'}`,
  ]
  if (all > findings.length) lines.push(`${all - findings.length} more findings are not shown`)
  const open = counts.repairable - counts.repaired
  lines.push(
    `${isSound ? 'sound' : 'NOT SOUND'}: ${counts.damage} damaged, ${open} repairable, ${counts.repaired} repaired, ` +
      `${counts.note} notes`,
  )
  return lines
}
