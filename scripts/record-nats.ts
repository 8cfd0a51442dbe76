/**
 * Writes what nats-server answers to the conversations of test/helpers/nats-conversations.ts: `tsx scripts/record-nats.ts`. Their
 * tests hold leveret to it where no nats-server is installed, and nats-server itself to it where one is.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { findNats, startNats } from '../bench/peers/nats.js'
import { NATS_ANSWERS_FILE } from '../test/helpers/nats-answers.js'
import { CONVERSATIONS, converse } from '../test/helpers/nats-conversations.js'

const nats = findNats()
if (nats === null) throw new Error('nats-server is not installed')
await using server = await startNats(nats, tmpdir())
const answers: Record<string, string[][]> = {}
for (const conversation of CONVERSATIONS) answers[conversation.title] = await converse(server.port, conversation)
writeFileSync(NATS_ANSWERS_FILE, `${JSON.stringify(answers, null, 2)}\n`)
console.log(`wrote ${NATS_ANSWERS_FILE} as ${nats.version} answers`)
