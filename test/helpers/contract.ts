/**
 * Cases that every implementation of a seam runs. An implementation that cannot do what a case asks says why: the case
 * is then skipped with that reason, and a reason for a case that does not exist fails the run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'

/** What one implementation brings: a name, a way to make one, and reasons for what it cannot do. */
export interface Implementation<Subject> {
  readonly name: string
  /** A fresh one, open; the suite closes it. */
  make(): Promise<Subject>
  /** Sentence of a case to the reason for skipping it. */
  readonly skips?: Readonly<Record<string, string>>
}

export type Cases<Subject> = Readonly<Record<string, (subject: Subject) => Promise<void>>>

export function runContract<Subject extends { close(): Promise<void> }>(
  implementations: readonly Implementation<Subject>[],
  cases: Cases<Subject>,
): void {
  for (const { name, make, skips = {} } of implementations) {
    for (const [sentence, run] of Object.entries(cases)) {
      test(`${name}: ${sentence}`, { skip: skips[sentence] ?? false }, async () => {
        const subject = await make()
        try {
          await run(subject)
        } finally {
          await subject.close()
        }
      })
    }
    test(`${name}: skips only cases that exist`, () => {
      for (const sentence of Object.keys(skips)) assert.ok(Object.hasOwn(cases, sentence), sentence)
    })
  }
}
