/**
 * Calls from the bench to its worker processes over the channel that fork() opens: one object of async methods on
 * the far side, named by its type on this one.
 */

/** Methods that a worker offers: one argument and one answer, both plain data. */
export type Methods<Api> = { [Name in keyof Api]: (argument: never) => Promise<unknown> }

export interface Call {
  readonly call: number
  readonly name: string
  readonly argument: unknown
}

export interface Answer {
  readonly call: number
  readonly value?: unknown
  readonly error?: string
}

/** Offer `methods` to the process that forked this one, and end when it lets go of the channel. */
export function offer<Api extends Methods<Api>>(methods: Api): void {
  process.on('message', (message: Call) => {
    const method = methods[message.name as keyof Api] as unknown as (argument: unknown) => Promise<unknown>
    method(message.argument).then(
      (value) => reply({ call: message.call, value }),
      (error: unknown) => reply({ call: message.call, error: error instanceof Error ? error.message : String(error) }),
    )
  })
  process.on('disconnect', () => process.exit(0))
}

function reply(answer: Answer): void {
  // The other side may just have let go: then nobody wants the answer.
  process.send?.(answer, () => {})
}
