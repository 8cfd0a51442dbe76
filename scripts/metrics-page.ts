/**
 * The page docs/metrics.md as text, made from the metrics of a server that was never started. Pure, so that a test can
 * tell whether the file is current; scripts/docs.ts writes it.
 */
import { App } from '../src/app.js'
import { configWith } from '../src/config/load.js'

export const METRICS_PAGE: { readonly path: string; readonly text: string } = {
  path: 'docs/metrics.md',
  text: metricsPage(),
}

function metricsPage(): string {
  const samples = new App(configWith({ store: 'log', meilies: 0, floki: 0, natsStreaming: 0 })).metrics.samples()
  const rows = samples.map(({ name, kind, help }) => `| \`${name}\` | ${kind} | ${help} |`)
  return `<!-- Printed by \`npm run docs\` from what the server counts: change it there. -->
# Metrics

\`broker.metrics()\` of an embedded broker returns all of these as they are now: \`name\`, \`kind\`, \`help\` and \`value\`. A counter only grows, until
the process ends; a gauge is worked out when it is asked for. Of the limits, [their page](limits.md) tells which can be set.

| name | | |
|---|---|---|
${rows.sort().join('\n')}
`
}
