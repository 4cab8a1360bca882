import { createServer, request as httpRequest } from 'node:http';

/**
 * What answers behind Grafana's image on the local cluster, where Grafana's program is not: the dashboards as the console draws them. It has no rights in
 * the cluster, as Grafana has none; the console behind the service kiali answers for it.
 */
const port = Number(process.env.GF_SERVER_HTTP_PORT || 3000);
const namespace = process.env.CONSOLE_ISTIO_NAMESPACE || 'istio-system';
const consoleHost = `kiali.${namespace}`;
const absent = [
  'This is not Grafana but istio-ts’ local cluster, which runs no containers and has no program of Grafana.',
  'The same dashboards are drawn by the console, which is not there yet: kubectl apply -f samples/addons/kiali.yaml',
].join('\n');

const server = createServer((incoming, outgoing) => {
  const path = incoming.url ?? '/';
  const text = (status: number, body: string, more: Readonly<Record<string, string>> = {}): void => {
    incoming.resume();
    outgoing.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', server: 'istio-ts', ...more }).end(body);
  };
  if (path === '/') return text(302, '', { location: '/dashboards' });
  if (path === '/api/health') {
    const body = JSON.stringify({ database: 'ok', version: 'istio-ts: the console in the place of Grafana' });
    return text(200, body, { 'content-type': 'application/json' });
  }
  const asked = httpRequest(
    { host: consoleHost, port: 20001, method: incoming.method, path, headers: incoming.headers },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
      answer.on('error', () => outgoing.destroy());
    },
  );
  asked.setTimeout(60_000, () => asked.destroy(new Error('timeout')));
  asked.on('error', () => {
    if (outgoing.headersSent) outgoing.destroy();
    else text(503, `${absent}\n`);
  });
  outgoing.on('close', () => asked.destroy());
  incoming.pipe(asked);
});
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));
server.listen(port, () =>
  process.stdout.write(`in the place of Grafana: the dashboards of the console at ${consoleHost}\n`),
);
