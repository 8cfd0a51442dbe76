/**
 * What the answer to one Publish frame says about each of its records. Called by publish-batch.ts.
 */
import { ProtocolError } from '../src/common/errors.js'
import type { Durability } from '../src/model/topic.js'
import type { PublishedFrame, PublishedPart } from '../src/protocol/frames.js'

export interface Receipt {
  readonly topic: string
  readonly partition: number
  /** Where the record is; of a duplicate, where the record is that was kept instead. */
  readonly offset: number
  readonly duplicate: boolean
  /** The level that was reached. */
  readonly durability: Durability
}

/** The receipts of `count` records, by index. Throws ProtocolError when the answer does not account for each. */
export function receiptsOf(topic: string, count: number, answer: PublishedFrame): (index: number) => Receipt {
  const { partition, baseOffset, durability, duplicates, parts } = answer
  if (parts.length === 0 && duplicates.length === 0) {
    if (answer.count !== count) throw incomplete(count, answer.count)
    return (index) => ({ topic, partition, offset: baseOffset + index, duplicate: false, durability })
  }
  const receipts = new Array<Receipt | null>(count).fill(null)
  const all = parts.length > 0 ? parts : [{ ...answer, records: Array.from({ length: count }, (_, index) => index) }]
  let told = 0
  for (const part of all) told += fill(receipts, part, topic, durability)
  if (told !== count) throw incomplete(count, told)
  // A publish that was aborted before it was sent still asks; nobody hears the answer.
  return (index) => (receipts[index] ?? receipts[0]) as Receipt
}

/** Returns how many records it told of for the first time. */
function fill(receipts: (Receipt | null)[], part: PublishedPart, topic: string, durability: Durability): number {
  const { partition, keptOffsets } = part
  let offset = part.baseOffset
  let duplicatesSeen = 0
  let told = 0
  for (const index of part.records) {
    const duplicate = part.duplicates[duplicatesSeen] === index
    const at = duplicate ? keptOffsets[duplicatesSeen++] : offset++
    if (index >= receipts.length || at === undefined) throw new ProtocolError('a receipt tells of no known record')
    if (receipts[index] === null) told++
    receipts[index] = { topic, partition, offset: at, duplicate, durability }
  }
  return told
}

function incomplete(published: number, told: number): ProtocolError {
  return new ProtocolError(`a receipt tells of ${told} records, ${published} were published`)
}
