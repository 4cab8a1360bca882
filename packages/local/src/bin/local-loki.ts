import { createServer } from 'node:http';

/**
 * What answers behind Loki's image on the local cluster, where Loki's program is not: it says so. It keeps no logs: those of the pods are with Kubernetes,
 * where the console and `kubectl logs` read them.
 */
const notice = [
  'This is not Loki but istio-ts’ local cluster, which runs no containers and has no program of Loki.',
  'Logs of the pods: on the page Logs of the console (istioctl dashboard kiali), or with kubectl logs.',
  'On a cluster with containers samples/addons/loki.yaml brings the real Loki.',
].join('\n');

const server = createServer((request, response) => {
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  const answer = (status: number, text: string): void =>
    void response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', server: 'istio-ts' }).end(text);
  request.resume();
  if (path === '/ready') answer(200, 'ready\n');
  else if (path === '/') answer(200, `${notice}\n`);
  else if (path === '/metrics') answer(200, '');
  // Clients of Loki show this text to their users.
  else answer(501, `${notice}\n`);
});
process.on('SIGTERM', () => process.exit(0));
process.on('SIGINT', () => process.exit(0));
server.listen(3100, () => process.stdout.write(`${notice}\n`));
