import type { StoreCounts } from './store.ts';

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

/** The page that says what this is and where its answers are. */
export function storePage(version: string, services: readonly string[], counts: StoreCounts): string {
  const rows = services
    .map((name) => {
      const query = encodeURIComponent(name);
      return `<tr><td>${escaped(name)}</td><td><a href="/jaeger/api/traces?service=${query}&amp;limit=20&amp;prettyPrint=true">Jaeger</a></td><td><a href="/zipkin/api/v2/traces?serviceName=${query}">Zipkin</a></td></tr>`;
    })
    .join('\n');
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Traces of the mesh</title>
<style>body{font:15px/1.5 system-ui,sans-serif;margin:3rem auto;max-width:46rem;padding:0 1rem}td,th{text-align:left;padding:.2rem 1.5rem .2rem 0}code{background:#8882;padding:0 .25rem}</style></head>
<body>
<h1>Trace store of istio-ts ${escaped(version)}</h1>
<p>This keeps the spans of the mesh in memory. It is not Jaeger and not Zipkin, but answers their query APIs; the console draws its traces.</p>
<p>${counts.traces} traces with ${counts.spans} spans are kept; ${counts.received} spans were received, ${counts.evicted} traces went for newer ones.</p>
<h2>Services</h2>
${services.length === 0 ? '<p>No span has come yet.</p>' : `<table><tr><th>Service</th><th colspan="2">Last traces as</th></tr>\n${rows}</table>`}
<h2>Receives</h2>
<p>Zipkin <code>POST /api/v2/spans</code> and <code>/api/v1/spans</code> (JSON, port 9411), OTLP over gRPC (4317) and HTTP (4318), SkyWalking's segments over gRPC (11800), a Datadog agent's <code>/v0.4/traces</code> (8126).</p>
<h2>Answers</h2>
<p>Jaeger: <a href="/jaeger/api/services"><code>/jaeger/api/services</code></a>, <code>/jaeger/api/traces</code>, <a href="/jaeger/api/dependencies"><code>/jaeger/api/dependencies</code></a>. Zipkin: <a href="/zipkin/api/v2/services"><code>/zipkin/api/v2/services</code></a>, <code>/zipkin/api/v2/traces</code>, <code>/zipkin/api/v2/trace/ID</code>. What it counts: <a href="/metrics"><code>/metrics</code></a>.</p>
</body>
</html>
`;
}
