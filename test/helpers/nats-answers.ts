/**
 * What nats-server answered to the conversations of nats-conversations.ts, as scripts/record-nats.ts wrote it down.
 */
import { readFileSync } from 'node:fs'

export const NATS_ANSWERS_FILE = 'test/vectors/nats-answers.json'

/** By the title of the conversation. */
export function natsAnswers(): ReadonlyMap<string, readonly (readonly string[])[]> {
  return new Map(Object.entries(JSON.parse(readFileSync(NATS_ANSWERS_FILE, 'utf8')) as Record<string, string[][]>))
}
