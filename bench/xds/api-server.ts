// An API server without controllers and nodes, in a process of its own: `node api-server.ts DIRECTORY`. Writes DIRECTORY/kubeconfig when it listens.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startApiServer } from '@istio-ts/local/apiserver/index';
import type { NodeRuntime } from '@istio-ts/local/node-runtime';

const directory = process.argv[2];
if (directory === undefined) throw new Error('usage: api-server.ts DIRECTORY');
const none = async (): Promise<never> => {
  throw new Error('this API server has no nodes');
};
const runtime: NodeRuntime = { logs: none, exec: none, attach: none, dial: none };
const server = await startApiServer({
  stateDir: join(directory, 'state'),
  runtime,
  serviceCidr: '10.96.0.0/12',
  listen: [{ kind: 'tls', host: '127.0.0.1', port: 0 }],
  certSans: [],
  log: () => {},
});
const port = server.addresses[0]?.port ?? 0;
writeFileSync(join(directory, 'kubeconfig'), JSON.stringify(server.adminKubeconfig(`https://127.0.0.1:${port}`)));
process.send?.('ready');
process.once('SIGTERM', () => {
  void server.close().then(() => process.exit(0));
});
