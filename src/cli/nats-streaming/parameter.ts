/** What a parameter of nats-streaming-server is, and how the table of them is written (parameters.ts). */

export type Kind = 'string' | 'int' | 'size' | 'duration' | 'bool' | 'strings'

/**
 * What it is for, with its default in brackets, and what of it has no effect, if anything; or why it is not honoured. What is not
 * honoured is told when it is given.
 */
export type Fate =
  | { readonly honoured: string; readonly butIgnored?: string }
  | { readonly ignored: string }
  | { readonly refused: string }

/** Where its keys stand in a configuration file: the block of streaming, one within it, or the part of the NATS server. */
export type Section = 'nats' | 'streaming' | 'limits' | 'file' | 'sql' | 'cluster' | 'tls'

/** Where people look for it. */
export type Group = Section | 'logging' | 'common'

export interface Parameter {
  readonly name: string
  readonly section: Section
  readonly group: Group
  readonly kind: Kind
  /** Without dashes; the first one is shown in messages. */
  readonly flags: readonly string[]
  /** In lower case. */
  readonly keys: readonly string[]
  readonly fate: Fate
}

export function streaming(name: string, kind: Kind, flags: string, keys: string, fate: Fate | string): Parameter {
  return section('streaming', name, kind, flags, keys, fate)
}

export function nats(name: string, kind: Kind, flags: string, keys: string, fate: Fate | string): Parameter {
  return section('nats', name, kind, flags, keys, fate)
}

export function section(
  of: Section,
  name: string,
  kind: Kind,
  flags: string,
  keys: string,
  fate: Fate | string,
): Parameter {
  return {
    name,
    section: of,
    group: of,
    kind,
    flags: words(flags),
    keys: words(keys),
    fate: typeof fate === 'string' ? { honoured: fate } : fate,
  }
}

export function inGroup(group: Group, parameters: readonly Parameter[]): readonly Parameter[] {
  return parameters.map((parameter) => ({ ...parameter, group }))
}

/** A flag as the original writes it; one dash or two are the same. */
export function dashed(flag: string): string {
  return flag.length < 4 ? `-${flag}` : `--${flag}`
}

function words(text: string): readonly string[] {
  return text === '' ? [] : text.split(' ')
}
