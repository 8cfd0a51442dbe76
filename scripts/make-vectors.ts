/**
 * Writes the golden vectors of the wire with a stock protobuf library: `npm run vectors`. They are a promise to others:
 * a run may add vectors, and a change to one that is committed needs a decision first.
 */
import { writeFileSync } from 'node:fs'
import { vectorFiles } from '../test/helpers/vectors.js'

for (const { path, text } of vectorFiles()) {
  writeFileSync(path, text)
  console.log(`wrote ${path}`)
}
