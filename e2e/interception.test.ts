import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { proves, provesAnnotations } from '@istio-ts/xds/field-proof';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, until } from './support/shell.ts';

const reason = obstacle();

/** A server in a pod: HTTP on 80, 8080 and 8081 that tells what it sees, WebSocket there, and on 9000 bytes with the server speaking first. */
const program = (ports: readonly number[]): string => `
const http = require('http'), net = require('net');
for (const port of ${JSON.stringify(ports)}) {
  const server = http.createServer((request, response) => response.end(JSON.stringify({ port, remote: request.socket.remoteAddress, version: request.httpVersion, headers: request.headers })));
  server.on('upgrade', (request, socket) => { socket.write('HTTP/1.1 101 Switching Protocols\\r\\nconnection: upgrade\\r\\nupgrade: websocket\\r\\n\\r\\n'); socket.on('data', (data) => socket.write('echo ' + data)); socket.on('error', () => {}); });
  server.listen(port);
}
net.createServer((socket) => { socket.on('error', () => {}); socket.write('220 ready\\r\\n'); socket.on('data', (data) => socket.write(data)); }).listen(9000);
`;

interface Pod {
  readonly name: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports?: readonly number[];
  readonly security?: object;
}

const pod = ({ name, annotations = {}, labels = {}, ports = [80, 8080, 8081], security = {} }: Pod) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name, ...labels }, annotations },
  spec: {
    terminationGracePeriodSeconds: 1,
    securityContext: security,
    containers: [
      {
        name: 'app',
        image: 'busybox',
        imagePullPolicy: 'IfNotPresent',
        command: ['node', '-e', program(ports)],
        readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 },
      },
    ],
  },
});
const service = (name: string, ports: readonly object[]) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports },
});
const sidecar = (name: string, spec: object) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'Sidecar',
  metadata: { name },
  spec: { workloadSelector: { labels: { app: name } }, ...spec },
});
const outside = { 'sidecar.istio.io/inject': 'false' };
const http = { name: 'http', port: 80 };

const objects = [
  pod({ name: 'client' }),
  pod({ name: 'outside', labels: outside }),
  pod({ name: 'redirect', annotations: { 'traffic.sidecar.istio.io/excludeInboundPorts': '8081' } }),
  pod({ name: 'tproxy', annotations: { 'sidecar.istio.io/interceptionMode': 'TPROXY' } }),
  pod({ name: 'noport', annotations: { 'traffic.sidecar.istio.io/excludeOutboundPorts': '80' } }),
  pod({
    name: 'exrange',
    annotations: { 'traffic.sidecar.istio.io/excludeOutboundIPRanges': '0.0.0.0/1,128.0.0.0/1' },
  }),
  pod({
    name: 'onlyports',
    annotations: {
      'traffic.sidecar.istio.io/includeOutboundIPRanges': '192.0.2.0/24',
      'traffic.sidecar.istio.io/includeOutboundPorts': '80',
      'traffic.sidecar.istio.io/includeInboundPorts': '80',
    },
  }),
  pod({ name: 'norange', annotations: { 'traffic.sidecar.istio.io/includeOutboundIPRanges': '192.0.2.0/24' } }),
  pod({ name: 'nointerface', annotations: { 'traffic.sidecar.istio.io/excludeInterfaces': 'eth0' } }),
  pod({ name: 'old', annotations: { 'proxy.istio.io/config': '{"proxyMetadata": {"ISTIO_META_HTTP10": "1"}}' } }),
  pod({ name: 'ingress' }),
  pod({
    name: 'none',
    annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' },
    ports: [8080],
    // Its proxy listens on the ports of services, as 81.
    security: { sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '0' }] },
  }),
  service('redirect', [
    http,
    { name: 'any', port: 8080 },
    { name: 'tcp-server-first', port: 9000 },
    { port: 8081, name: 'unnamed' },
  ]),
  service('tproxy', [http]),
  service('old', [http]),
  service('ingress', [http, { name: 'http-own', port: 81 }]),
  sidecar('ingress', {
    ingress: [
      { port: { number: 80, protocol: 'HTTP', name: 'http' }, defaultEndpoint: '127.0.0.1:8080' },
      { port: { number: 81, protocol: 'HTTP', name: 'http-own' }, defaultEndpoint: '0.0.0.0:8081' },
    ],
  }),
  sidecar('none', {
    ingress: [{ port: { number: 8888, protocol: 'HTTP', name: 'http' }, defaultEndpoint: '127.0.0.1:8080' }],
    egress: [
      { port: { number: 8000, protocol: 'HTTP', name: 'http' }, captureMode: 'NONE', hosts: ['*/nothing.example'] },
      { port: { number: 9090, protocol: 'TCP', name: 'tcp' }, hosts: ['./redirect.default.svc.cluster.local'] },
      { hosts: ['./ingress.default.svc.cluster.local'] },
    ],
  }),
];

interface Saw {
  readonly port: number;
  readonly remote: string;
  readonly version: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

describe('interception', { skip: reason ?? false }, () => {
  const addresses = new Map<string, string>();
  const cluster = ownCluster(async ({ istioctl, kubectl, apply, podsReady }) => {
    await istioctl('install', '-y', '--set', 'profile=minimal');
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    await apply(
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects.filter(({ kind }) => kind !== 'Pod') }),
    );
    await apply(
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects.filter(({ kind }) => kind === 'Pod') }),
    );
    await podsReady('default');
    const { items } = JSON.parse(await kubectl('get', 'pods', '-o', 'json')) as {
      items: readonly { readonly metadata: { readonly name: string }; readonly status: { readonly podIP: string } }[];
    };
    for (const { metadata, status } of items) addresses.set(metadata.name, status.podIP);
  });
  const ip = (name: string): string => addresses.get(name) ?? '';
  const exec = (name: string, ...command: readonly string[]) =>
    cluster().kubectl('exec', name, '-c', 'app', '--', ...command);
  /** What the server saw of a request from a pod. */
  const ask = (from: string, url: string, ...flags: readonly string[]): Promise<Saw> =>
    until(`an answer from ${url}`, async () => {
      const text = await exec(from, 'curl', '-s', '-m', '5', ...flags, url);
      return text.startsWith('{') ? (JSON.parse(text) as Saw) : undefined;
    });
  const throughProxy = (saw: Saw): boolean => saw.headers['x-request-id'] !== undefined;

  test('REDIRECT hides the address of the client, TPROXY keeps it', async () => {
    provesAnnotations('sidecar.istio.io/interceptionMode', 'sidecar.istio.io/inject');
    const redirected = await ask('client', 'http://redirect/');
    assert.match(redirected.remote, /127\.0\.0\.6$/);
    await eventually('mutual TLS with the pod that has TPROXY', async () => {
      const kept = await ask('client', 'http://tproxy/');
      assert.equal(kept.remote.replace('::ffff:', ''), ip('client'));
      assert.match(kept.headers['x-forwarded-client-cert'] ?? '', /spiffe:/);
    });
    const plain = await ask('outside', `http://${ip('tproxy')}/`);
    assert.equal(plain.remote.replace('::ffff:', ''), ip('outside'));
    assert.ok(throughProxy(plain));
    await eventually('mutual TLS from it', async () =>
      assert.match((await ask('tproxy', 'http://redirect/')).headers['x-forwarded-client-cert'] ?? '', /spiffe:/),
    );
  });

  test('annotations leave traffic alone: inbound ports, outbound ports, ranges, interfaces', async () => {
    provesAnnotations(
      'traffic.sidecar.istio.io/excludeInboundPorts',
      'traffic.sidecar.istio.io/excludeInterfaces',
      'traffic.sidecar.istio.io/excludeOutboundIPRanges',
      'traffic.sidecar.istio.io/excludeOutboundPorts',
      'traffic.sidecar.istio.io/includeInboundPorts',
      'traffic.sidecar.istio.io/includeOutboundIPRanges',
      'traffic.sidecar.istio.io/includeOutboundPorts',
    );
    assert.ok(throughProxy(await ask('outside', `http://${ip('redirect')}:80/`)));
    assert.ok(!throughProxy(await ask('outside', `http://${ip('redirect')}:8081/`)));
    const target = `http://${ip('outside')}/`;
    assert.ok(throughProxy(await ask('client', target)));
    for (const name of ['noport', 'norange', 'exrange', 'nointerface'])
      assert.ok(!throughProxy(await ask(name, target)), name);
    assert.ok(throughProxy(await ask('onlyports', target)));
    assert.ok(!throughProxy(await ask('onlyports', `http://${ip('outside')}:8081/`)));
    assert.ok(throughProxy(await ask('outside', `http://${ip('onlyports')}:80/`)));
    assert.ok(!throughProxy(await ask('outside', `http://${ip('onlyports')}:8081/`)));
  });

  test('connections of the proxy’s user and group are left alone', async () => {
    const as = async (what: string): Promise<Saw> =>
      JSON.parse(
        await exec(
          'client',
          'node',
          '-e',
          `process.${what}(1337);require('http').get('http://${ip('outside')}/',(r)=>r.pipe(process.stdout))`,
        ),
      ) as Saw;
    assert.ok(!throughProxy(await as('setuid')));
    assert.ok(!throughProxy(await as('setgid')));
  });

  test('ports without a declared protocol carry HTTP and bytes, and a server may speak first where its port says TCP', async () => {
    await eventually('HTTP and bytes', async () => {
      const sniffed = await ask('client', 'http://redirect:8080/');
      assert.match(sniffed.headers['x-forwarded-client-cert'] ?? '', /spiffe:/);
      const greeting = await exec(
        'client',
        'node',
        '-e',
        "const s=require('net').connect(9000,'redirect');s.setTimeout(5000,()=>s.destroy());s.once('data',(d)=>{console.log(String(d));s.destroy()})",
      );
      assert.match(greeting, /220 ready/);
    });
  });

  test('WebSocket goes through both proxies', async () => {
    await eventually('an echo', async () => {
      const answer = await exec(
        'client',
        'node',
        '-e',
        "const r=require('http').request({host:'redirect',timeout:5000,headers:{connection:'upgrade',upgrade:'websocket'}});r.on('timeout',()=>r.destroy());r.on('upgrade',(_,s)=>{s.write('hello');s.once('data',(d)=>{console.log(String(d));s.destroy()})});r.end()",
      );
      assert.match(answer, /echo hello/);
    });
  });

  test('HTTP/1.0 is answered as HTTP where the pod asks for it', async () => {
    const saw = await ask('outside', `http://${ip('old')}/`, '--http1.0');
    assert.ok(throughProxy(saw));
    assert.ok(!throughProxy(await ask('outside', `http://${ip('redirect')}:8080/`, '--http1.0')));
  });

  test('ingress listeners of a Sidecar lead to other ports, on loopback and at the pod’s own address', async () => {
    proves('Sidecar.spec.ingress[].defaultEndpoint', 'Sidecar.spec.ingress[].port.number');
    await eventually('loopback', async () => {
      const loopback = await ask('client', 'http://ingress/');
      assert.deepEqual([loopback.port, loopback.headers['x-forwarded-client-cert'] !== undefined], [8080, true]);
    });
    assert.equal((await ask('client', 'http://ingress:81/')).port, 8081);
  });

  test('without interception the proxy listens where the Sidecar says', async () => {
    proves('Sidecar.spec.ingress[].captureMode', 'Sidecar.spec.egress[].captureMode', 'Sidecar.spec.egress[].port');
    const direct = await ask('none', `http://${ip('outside')}/`);
    assert.ok(!throughProxy(direct));
    await eventually('a call through the proxy', async () => {
      const called = await ask('none', 'http://127.0.0.1:81/', '-H', 'host: ingress');
      assert.deepEqual([called.port, called.headers['x-forwarded-client-cert'] !== undefined], [8081, true]);
    });
    const served = await ask('outside', `http://${ip('none')}:8888/`);
    assert.deepEqual([served.port, throughProxy(served)], [8080, true]);
  });
});
