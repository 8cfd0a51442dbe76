/** For commands that take flags and files of others: mistakes in them are told in the words of whoever made them. */
import { ConfigError } from '../common/errors.js'
import { type Config, type ConfigKey, flagOf } from '../config/schema.js'

/** `names` is what the keys of Config were called there. Throws ConfigError. */
export function configUnder(names: Readonly<Partial<Record<ConfigKey, string>>>, load: () => Config): Config {
  try {
    return load()
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const renamed = (mistake: string): string => {
      const [origin = ''] = mistake.split(': ')
      const known = (Object.keys(names) as ConfigKey[]).find((key) => origin === key || origin === `--${flagOf(key)}`)
      return known === undefined ? mistake : `${names[known]}${mistake.slice(origin.length)}`
    }
    throw new ConfigError(error.mistakes.map(renamed), { cause: error })
  }
}
