/**
 * Errors of the operating system in words: most are a mistake in a path or a permission, and no defect of leveret.
 */
import { getSystemErrorMap } from 'node:util'

/** An error that a system call answered. */
export type SystemError = NodeJS.ErrnoException & { readonly code: string; readonly syscall: string }

export function isSystemError(error: unknown): error is SystemError {
  if (!(error instanceof Error)) return false
  const { code, syscall }: NodeJS.ErrnoException = error
  return typeof code === 'string' && typeof syscall === 'string'
}

/** `mkdir /srv/data/topics: permission denied (EACCES)`. */
export function systemErrorText({ code, syscall, path, errno, message }: SystemError): string {
  const [, text] = getSystemErrorMap().get(errno ?? 0) ?? []
  if (text === undefined) return message
  return `${path === undefined ? syscall : `${syscall} ${path}`}: ${text} (${code})`
}
