#!/usr/bin/env node
// Under the name of the server whose flags it takes; the same as `leveret nats-streaming-server`.
import process from 'node:process'

process.argv.splice(2, 0, 'nats-streaming-server')
await import('./leveret.js')
