import type { ScrapeManager } from '../scrape/scrape-manager.ts';
import type { MetricsStore } from '../storage/store.ts';

const escaped = (text: string): string => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** What `/` shows: what answers here, and how its targets are. */
export function statusPage(version: string, store: MetricsStore, scrapes: ScrapeManager): string {
  const rows = scrapes.scrapers.map(
    ({ target, health }) =>
      `<tr><td>${escaped(target.config.job)}</td><td>${escaped(target.url)}</td><td>${health.health}</td><td>${escaped(health.lastError)}</td></tr>`,
  );
  const notes = scrapes.config.warnings.map((warning) => `<p>${escaped(warning)}</p>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Metrics store of istio-ts</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse}td,th{padding:.2rem .8rem .2rem 0;text-align:left;border-bottom:1px solid #ccc}</style></head>
<body><h1>Metrics store of istio-ts ${escaped(version)}</h1>
<p>This is not Prometheus: this machine has no program of that name. This store scrapes the same targets by the same configuration, keeps samples in memory, and answers
Prometheus' HTTP API below <code>/api/v1</code> with PromQL, without native histograms, rules, alerts and remote storage. Install Prometheus
(Debian: <code>apt-get install prometheus</code>), delete this pod, and the real program takes its place.</p>
${notes.join('\n')}
<p>${store.seriesCount} series.</p>
<table><thead><tr><th>Job</th><th>Target</th><th>State</th><th>Error</th></tr></thead><tbody>
${rows.join('\n')}
</tbody></table></body></html>
`;
}
