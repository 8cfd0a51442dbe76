#!/usr/bin/env node
// In a clone the sources run as they are; in the published package, which has no src/, the compiled code does.
import { existsSync } from 'node:fs'

if (existsSync(new URL('../src/main.ts', import.meta.url))) {
  const { register } = await import('tsx/esm/api')
  register()
  await import('../src/main.ts')
} else {
  await import('../dist/src/main.js')
}
