import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createKubeClient, loadKubeConfig } from '@istio-ts/kube';
import { watchKubernetes } from '../metrics/scrape/discovery.ts';
import { rewriteDiscovery, targetGroups } from '../prometheus/rewrite.ts';

/*
 * Behind Prometheus' image on the local cluster: the machine's own Prometheus. Distributions build it without its client of Kubernetes, so this program
 * looks up the targets for it and answers with them over HTTP; scraping, storing and answering is Prometheus' own.
 */
const log = (line: string): void => void process.stderr.write(`${line}\n`);
const [program = 'prometheus', ...args] = process.argv.slice(2);
const flag = '--config.file';
const at = args.findIndex((arg) => arg === flag || arg.startsWith(`${flag}=`));
const given = at < 0 ? undefined : args[at] === flag ? args[at + 1] : args[at]?.slice(flag.length + 1);
const file = given ?? 'prometheus.yml';

/** The answer to a request for the targets of an entry of the configuration. */
let answer: (index: number) => unknown = () => [];
const server = createServer((request, response) => {
  request.resume();
  const index = Number((request.url ?? '').slice(1));
  const targets = Number.isInteger(index) ? answer(index) : undefined;
  if (targets === undefined) response.writeHead(404).end();
  else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(targets));
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
const { port } = server.address() as AddressInfo;

const rewritten = rewriteDiscovery(readFileSync(file, 'utf8'), (index) => `http://127.0.0.1:${port}/${index}`);
if (rewritten.discoveries.length > 0) {
  const config = loadKubeConfig({ env: process.env, preferInCluster: true });
  const client = createKubeClient(config, { userAgent: 'istio-ts-prometheus' });
  const { discoveries } = rewritten;
  const watched = watchKubernetes(
    client,
    config.namespace ?? 'default',
    discoveries,
    () => undefined,
    (error) => log(`discovery of targets: ${error.message}`),
  );
  answer = (index) => {
    const discovery = discoveries[index];
    return discovery && targetGroups(watched.targets(discovery));
  };
}
const folder = mkdtempSync(join(tmpdir(), 'prometheus-'));
const written = join(folder, 'prometheus.json');
writeFileSync(written, rewritten.text);
const others = at < 0 ? args : args.filter((_, index) => index !== at && !(args[at] === flag && index === at + 1));
const child = spawn(program, [`${flag}=${written}`, ...others], { stdio: 'inherit' });
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  log(`${program} cannot be run: ${error.message}`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? (signal === null ? 1 : 0)));
