/**
 * What may happen to a shared group, by chance. For shared-model.test.ts.
 */

import { ACK, EXTEND, type SharedSettings, type Verdict } from '../../src/groups/shared/settings.js'
import { fc } from '../helpers/fast-check.js'

/** Which batch is at hand: the one with the record that the group would give next, or any. */
export interface PickedBatch {
  readonly isOffered: boolean
  readonly pick: number
  /** Its records before that one, and from it on. */
  readonly before: number
  readonly rest: number
}

export type Step =
  | { readonly kind: 'publish'; readonly records: number }
  | { readonly kind: 'take'; readonly member: number; readonly max: number; readonly batch: PickedBatch | null }
  | {
      readonly kind: 'settle'
      readonly member: number
      readonly pick: number
      readonly length: number
      readonly verdict: Verdict
      readonly isExact: boolean
    }
  | {
      readonly kind: 'anywhere'
      readonly member: number
      readonly pick: number
      readonly length: number
      readonly verdict: Verdict
      readonly isExact: boolean
    }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'expire' }
  | { readonly kind: 'leave'; readonly member: number }
  | { readonly kind: 'dead'; readonly max: number; readonly isWritten: boolean }
  | { readonly kind: 'seek' | 'seek-keeping'; readonly pick: number }
  | { readonly kind: 'purge'; readonly pick: number }
  | { readonly kind: 'pause'; readonly paused: boolean }
  | { readonly kind: 'configure'; readonly settings: SharedSettings }
  | { readonly kind: 'drain' }
  | { readonly kind: 'checkpoint' }
  | { readonly kind: 'crash' }

export const arbSettings: fc.Arbitrary<SharedSettings> = fc
  .record({
    ackWaitMs: fc.integer({ min: 1, max: 40 }),
    inFlightMax: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 60 })),
    spare: fc.nat({ max: 50 }),
    maxDeliveries: fc.option(fc.integer({ min: 1, max: 4 })),
    backoffMs: fc.oneof(fc.constant([]), fc.array(fc.nat({ max: 30 }), { maxLength: 3 })),
  })
  .map(({ spare, ...settings }) => ({ ...settings, spanMax: settings.inFlightMax + spare }))

const arbVerdict: fc.Arbitrary<Verdict> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(ACK) },
  { weight: 2, arbitrary: fc.option(fc.nat({ max: 30 })).map((delayMs): Verdict => ({ kind: 'retry', delayMs })) },
  { weight: 1, arbitrary: fc.constant<Verdict>({ kind: 'reject', reason: 'bad' }) },
  { weight: 1, arbitrary: fc.constant(EXTEND) },
  { weight: 2, arbitrary: fc.constant<Verdict>({ kind: 'release' }) },
)

const arbMember = fc.nat({ max: 3 })
const arbPick = fc.nat({ max: 999 })
const arbLength = fc.oneof(fc.constant(1), fc.nat({ max: 25 }))

const arbBatch: fc.Arbitrary<PickedBatch> = fc.record({
  isOffered: fc.boolean(),
  pick: arbPick,
  before: fc.nat({ max: 10 }),
  rest: fc.integer({ min: 1, max: 10 }),
})

export const arbStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('publish' as const), records: fc.nat({ max: 30 }) }) },
  {
    weight: 16,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      member: arbMember,
      max: fc.nat({ max: 20 }),
      batch: fc.option(arbBatch, { freq: 2 }),
    }),
  },
  { weight: 24, arbitrary: arbSettle('settle') },
  { weight: 3, arbitrary: arbSettle('anywhere') },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat({ max: 30 }) }) },
  { weight: 3, arbitrary: fc.constant<Step>({ kind: 'expire' }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('leave' as const), member: arbMember }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('dead' as const), max: fc.nat({ max: 5 }), isWritten: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('seek' as const), pick: arbPick }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('seek-keeping' as const), pick: arbPick }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('purge' as const), pick: arbPick }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), paused: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('configure' as const), settings: arbSettings }) },
  { weight: 4, arbitrary: fc.constantFrom<Step>({ kind: 'drain' }, { kind: 'checkpoint' }) },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'crash' }) },
)

function arbSettle(kind: 'settle' | 'anywhere'): fc.Arbitrary<Step> {
  return fc.record({
    kind: fc.constant(kind),
    member: arbMember,
    pick: arbPick,
    length: arbLength,
    verdict: arbVerdict,
    isExact: fc.boolean(),
  })
}
