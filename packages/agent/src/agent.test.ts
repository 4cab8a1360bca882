import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import * as tls from 'node:tls';
import { createCsr, describeCertificate, exportPrivateKey, generatePrivateKey } from '@istio-ts/security';
import { catalogue } from '@istio-ts/metrics/catalogue';
import { namesIn, promtoolComplaints } from '@istio-ts/metrics/promtool.test-support';
import { cleanups, eventually, freePort, http, skip, startAgent } from './agent.test-support.ts';
import { mutualTlsListener, type Served, startFakeIstiod } from './fake-istiod.test-support.ts';

test('an agent brings Envoy up, serves certificates, health, metrics and probes, and drains', { skip }, async () => {
  const listenerPort = await freePort();
  const plainPort = await freePort();
  const istiod = await startFakeIstiod([mutualTlsListener(listenerPort, true), mutualTlsListener(plainPort, false)]);
  cleanups.push(() => istiod.close());
  istiod.failNext(2);
  const application = createHttpServer((request, response) => {
    if (request.url === '/metrics') response.end('# TYPE app_things counter\napp_things 7\n# EOF\n');
    else response.writeHead(request.url === '/live' && request.headers['x-probe'] === 'yes' ? 204 : 500).end();
  });
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => void application.close());
  const appPort = (application.address() as AddressInfo).port;
  const agent = await startAgent(istiod, {
    OUTPUT_CERTS: './out',
    ISTIO_PROMETHEUS_ANNOTATIONS: JSON.stringify({ scrape: 'true', port: String(appPort), path: '/metrics' }),
    ISTIO_KUBE_APP_PROBERS: JSON.stringify({
      '/app-health/server/livez': {
        httpGet: { path: '/live', port: appPort, scheme: 'HTTP', httpHeaders: [{ name: 'x-probe', value: 'yes' }] },
      },
      '/app-health/server/readyz': { tcpSocket: { port: appPort } },
      '/app-health/server/startupz': { grpc: { port: await freePort() } },
    }),
  });
  const { ports } = agent;

  await eventually(
    'ready through Envoy',
    () => http(ports.ready, '/healthz/ready'),
    (answer) => answer.status === 200,
  );
  assert.equal(istiod.tokens.length, 3);
  assert.equal(istiod.tokens[0], 'Bearer the-token');
  assert.deepEqual(istiod.peers[0], ['spiffe://cluster.local/ns/shop/sa/cart']);
  const node = istiod.nodes[0];
  assert.equal(node?.id, 'sidecar~127.0.0.1~cart-1.shop~shop.svc.cluster.local');
  assert.equal(node?.metadata?.WORKLOAD_NAME, 'cart');
  assert.deepEqual(node?.metadata?.LABELS, { app: 'cart', version: 'v1' });
  assert.deepEqual(node?.metadata?.ANNOTATIONS, { note: 'two\nlines' });
  assert.equal((node?.metadata?.PROXY_CONFIG as { statusPort: number } | undefined)?.statusPort, ports.status);

  // The certificate is served to peers, who see the workload in its subject.
  const key = generatePrivateKey();
  const client = istiod.authority.sign({
    csr: createCsr(key, []),
    identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'client' },
    now: new Date(),
  });
  const answer = await new Promise<{ readonly body: string; readonly peer: string }>((resolve, reject) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: listenerPort,
      ca: istiod.authority.root,
      cert: client.chain,
      key: exportPrivateKey(key),
      checkServerIdentity: () => undefined,
    });
    let body = '';
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'));
    const certificate = new Promise<string>((done) =>
      socket.on('secureConnect', () => done(socket.getPeerX509Certificate()?.toString() ?? '')),
    );
    socket.on('data', (chunk) => {
      body += chunk;
    });
    socket.on('end', async () => resolve({ body, peer: await certificate }));
    socket.on('error', reject);
  });
  assert.match(answer.body, /hello/);
  assert.equal(describeCertificate(answer.peer).subject, 'CN=cart,OU=cart,L=v1,ST=Kubernetes');
  assert.match(readFileSync(join(agent.directory, 'out/cert-chain.pem'), 'utf8'), /BEGIN CERTIFICATE/);

  // Metrics: Istio's names in both places, the application's and the agent's in the merged one.
  assert.equal((await http(plainPort, '/')).status, 200);
  const merged = await eventually(
    'merged metrics',
    () => http(ports.status, '/stats/prometheus'),
    ({ body }) => /^istio_requests_total\{response_code="200"\} 2$/m.test(body),
  );
  assert.match(merged.body, /^# TYPE istio_requests_total counter$/m);
  assert.match(merged.body, /^app_things 7$/m);
  assert.match(merged.body, /^istio_agent_cert_expiry_seconds\{resource_name="default"\} /m);
  assert.match(merged.body, /^istio_build\{component="proxy",tag="[\d.]+"\} 1$/m);
  assert.match(merged.body, /^envoy_cluster_upstream_cx_active\{cluster_name="xds-grpc"\} 1$/m);
  assert.doesNotMatch(merged.body, /EOF|envoy_istio/);
  // Envoy has worked: it has read its configuration and served.
  const own = (name: string): number =>
    Number(new RegExp(`^istio_agent_${name} (\\S+)$`, 'm').exec(merged.body)?.[1] ?? Number.NaN);
  assert.ok(own('envoy_cpu_seconds_total') > 0);
  assert.ok(own('envoy_resident_memory_bytes') > 10_000_000);
  assert.ok(own('process_cpu_seconds_total') > 0);
  const known = new Map(
    catalogue.flatMap(({ program, name, state }) => (program === 'pilot-agent' ? [[name, state.kind]] : [])),
  );
  for (const name of namesIn(merged.body).filter((one) => /^istio_(agent_|build)/.test(one)))
    assert.match(known.get(name) ?? 'unknown', /^(always|after)$/, name);
  for (const [name, kind] of known)
    if (kind === 'always') assert.ok(namesIn(merged.body).includes(name), `${name} is not served`);
  // Envoy's, Istio's and applications' own names are not ours to judge.
  const complaints = promtoolComplaints(merged.body, (name) => /^istio_agent_(envoy|process)_/.test(name));
  if (complaints !== undefined) assert.deepEqual(complaints, []);
  assert.match(
    (await http(ports.prometheus, '/stats/prometheus')).body,
    /^istio_requests_total\{response_code="200"\} 2$/m,
  );

  // Probes of the application.
  const probe = async (kind: string): Promise<number> =>
    (await http(ports.status, `/app-health/server/${kind}`)).status;
  assert.equal(await probe('livez'), 204);
  assert.equal(await probe('readyz'), 200);
  assert.equal(await probe('startupz'), 500);
  assert.equal(await probe('nothing'), 404);
  assert.equal((await http(ports.status, '/quitquitquit')).status, 405);

  // With the control plane away, the proxy stays ready and serves.
  await istiod.close();
  assert.equal((await http(ports.ready, '/healthz/ready')).status, 200);
  assert.equal((await http(plainPort, '/')).status, 200);

  agent.process.kill('SIGTERM');
  await eventually(
    'not ready while draining',
    () => http(ports.status, '/healthz/ready'),
    ({ status, body }) => status === 503 && /draining/.test(body),
  );
  assert.deepEqual(await agent.exit, { code: 0, signal: null });
  assert.match(agent.output(), /graceful termination period complete/);
  assert.match(
    agent.output(),
    /^\d{4}-\d\d-\d\dT[\d:.]+Z\tinfo\tcache\tgenerated new workload certificate\tresourceName=default/m,
  );
  assert.doesNotMatch(agent.output(), /\t(?:error|critical)\t/);
});

test('without a CA the agent says why it is not ready; when Envoy dies the agent ends', { skip }, async () => {
  const istiod = await startFakeIstiod([]);
  await istiod.close();
  const agent = await startAgent(istiod);
  const answer = await eventually(
    'an answer',
    () => http(agent.ports.status, '/healthz/ready'),
    ({ body }) => /gave no certificate/.test(body),
  );
  assert.equal(answer.status, 503);
  assert.match(
    answer.body,
    /Envoy proxy is NOT ready: no workload certificate: the CA 127\.0\.0\.1:\d+ gave no certificate \(UNAVAILABLE/,
  );
  const pid = Number(/Envoy started\tpid=(\d+)/.exec(agent.output())?.[1]);
  process.kill(pid, 'SIGKILL');
  assert.equal((await agent.exit).code, 1);
  assert.match(agent.output(), /Envoy ended by itself/);
});

test('an Envoy that is not there, or a wrong setting, ends the agent with an explanation', async () => {
  const istiod = { address: '127.0.0.1:1', authority: { root: 'none' } };
  const missing = await startAgent(istiod, { ENVOY_BINARY: '/nonexistent/envoy' });
  assert.equal((await missing.exit).code, 1);
  assert.match(missing.output(), /Error: Envoy cannot be started from \/nonexistent\/envoy: .*Set ENVOY_BINARY/);
  const wrong = await startAgent(istiod, { SECRET_TTL: 'tomorrow' });
  assert.equal((await wrong.exit).code, 1);
  assert.match(wrong.output(), /Error: SECRET_TTL: "tomorrow" is not a duration/);
});

const bootstrapAdditions = (statsFlushInterval: string): Served => ({
  name: 'bootstrap',
  resource: {
    '@type': 'type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap',
    staticResources: { clusters: [{ name: 'added', type: 'STATIC', connectTimeout: '1s' }] },
    statsFlushInterval,
  },
});

test('what EnvoyFilters add to the bootstrap is there when Envoy starts, unless Envoy would not start', {
  skip,
}, async () => {
  const dumpOf = async (statsFlushInterval: string) => {
    const istiod = await startFakeIstiod([bootstrapAdditions(statsFlushInterval)]);
    cleanups.push(() => istiod.close());
    const agent = await startAgent(istiod, { BOOTSTRAP_XDS_AGENT: 'true' });
    const { body } = await eventually(
      'a bootstrap',
      () => http(agent.ports.admin, '/config_dump?mask=bootstrap'),
      ({ status }) => status === 200,
    );
    return { body, output: agent.output() };
  };
  const good = await dumpOf('6s');
  assert.match(good.body, /"xds-grpc"/);
  assert.match(good.body, /"added"/);
  assert.match(good.body, /"stats_flush_interval": "6s"/);
  const bad = await dumpOf('7s');
  assert.doesNotMatch(bad.body, /"added"/);
  assert.match(bad.output, /Envoy refuses the bootstrap.*multiple of stats_flush_interval/);
});

test('a proxy that balances by zone knows where it is and where its own workload runs', { skip }, async () => {
  const address = (portValue: number) => ({
    endpoint: { address: { socketAddress: { address: '10.0.0.1', portValue } } },
  });
  const istiod = await startFakeIstiod([
    {
      name: 'local_cluster',
      resource: {
        '@type': 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment',
        clusterName: 'local_cluster',
        endpoints: [
          { locality: { region: 'r', zone: 'z' }, lbEndpoints: [address(1)] },
          { locality: { region: 'r', zone: 'y' }, lbEndpoints: [address(2)] },
        ],
      },
    },
  ]);
  cleanups.push(() => istiod.close());
  const agent = await startAgent(istiod, {
    ISTIO_META_ENABLE_SELF_DISCOVERY: 'true',
    ISTIO_METAJSON_LABELS: JSON.stringify({
      'topology.kubernetes.io/region': 'r',
      'topology.kubernetes.io/zone': 'z',
    }),
  });
  const { body } = await eventually(
    'its own endpoints',
    () => http(agent.ports.admin, '/clusters'),
    (answer) => answer.body.includes('local_cluster::10.0.0.1:2::'),
  );
  assert.match(body, /local_cluster::10\.0\.0\.1:1::zone::z/);
  const { body: info } = await http(agent.ports.admin, '/server_info');
  assert.deepEqual(JSON.parse(info).node.locality, { region: 'r', zone: 'z', sub_zone: '' });
});
