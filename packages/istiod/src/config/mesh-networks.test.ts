import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Resolver } from 'node:dns/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { defaultMeshConfig } from '@istio-ts/api';
import { Graph, SourceCell, SourceCollection } from '@istio-ts/collections';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { startDnsServer } from '@istio-ts/xds/testing/dns-server';
import { recordingLogger } from '../log.test-support.ts';
import { type ResolvedName, resolveGatewayNames, resolveName } from './gateway-names.ts';
import { readMeshNetworks } from './mesh-networks.ts';

const map = (meshNetworks: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'istio', namespace: 'istio-system' },
  data: { mesh: '', meshNetworks },
});

test('networks are read; none are none', () => {
  const read = readMeshNetworks(
    map('networks: {b: {endpoints: [{fromCidr: 10.0.0.0/8}], gateways: [{address: 192.0.2.1, port: 443}]}}'),
  );
  assert.deepEqual(read.problems, []);
  assert.equal(read.networks?.networks.b?.gateways?.[0]?.address, '192.0.2.1');
  for (const nothing of [undefined, map(''), map('networks: {}')])
    assert.deepEqual(readMeshNetworks(nothing), { networks: { networks: {} }, problems: [] });
});

test('networks that cannot be read are told of and not taken', () => {
  for (const text of ['{{{', 'networks: 7', 'networks: {a: {gateways: [{port: many}]}}']) {
    const { networks, problems } = readMeshNetworks(map(text));
    assert.equal(networks, undefined, text);
    assert.match(problems.join(), /meshNetworks/);
  }
  const { networks, problems } = readMeshNetworks(map('networks: {a: {endpoints: [{fromCidr: everywhere}]}}'));
  assert.ok(networks);
  assert.match(problems.join(), /networks\[a\]\.endpoints\[0\]\.fromCidr: "everywhere" is no range/);
});

test('names of gateways are resolved again when their time is over, and keep their addresses while that fails', async () => {
  const graph = new Graph();
  const names = new SourceCell<readonly string[]>(graph, ['gw.example']);
  const into = new SourceCollection<readonly string[]>(graph);
  const log = recordingLogger();
  const answers: (ResolvedName | Error)[] = [];
  const timers: { readonly ms: number; readonly work: () => void; cancelled: boolean }[] = [];
  const answer = async (one: ResolvedName | Error): Promise<number | undefined> => {
    answers.push(one);
    timers.shift()?.work();
    await turn();
    await turn();
    return timers[0]?.ms;
  };
  answers.push({ addresses: ['192.0.2.2', '192.0.2.1'], ttlMs: 5000 });
  const resolution = resolveGatewayNames(names, into, {
    resolve: async () => {
      const next = answers.shift();
      if (next === undefined || next instanceof Error) throw next ?? new Error('no answer');
      return next;
    },
    after: (ms, work) => {
      const timer = { ms, work, cancelled: false };
      timers.push(timer);
      return () => {
        timer.cancelled = true;
      };
    },
    log,
  });
  await turn();
  assert.deepEqual(into.get('gw.example'), ['192.0.2.1', '192.0.2.2']);
  assert.equal(timers[0]?.ms, 30_000);
  assert.equal(await answer({ addresses: ['192.0.2.3'], ttlMs: 60_000 }), 60_000);
  assert.deepEqual(into.get('gw.example'), ['192.0.2.3']);
  assert.equal(await answer(new Error('queryA ENOTFOUND')), 1000);
  assert.equal(await answer(new Error('queryA ENOTFOUND')), 2000);
  assert.deepEqual(into.get('gw.example'), ['192.0.2.3']);
  assert.match(log.lines.join('\n'), /warn cannot resolve gw\.example, the gateway of a network: queryA ENOTFOUND/);
  names.set([]);
  await turn();
  assert.deepEqual([into.get('gw.example'), timers[0]?.cancelled], [undefined, true]);
  resolution.close();
});

test('a name has the addresses of both families, for the shortest of their times', async () => {
  const records = (address: string, ttl: number) => async () => [{ address, ttl }];
  const nothing = async () => {
    throw new Error('queryAaaa ENODATA');
  };
  const both = { resolve4: records('192.0.2.1', 60), resolve6: records('2001:db8::1', 40) };
  assert.deepEqual(await resolveName('x', both as never), { addresses: ['192.0.2.1', '2001:db8::1'], ttlMs: 40_000 });
  assert.deepEqual(await resolveName('x', { ...both, resolve6: nothing } as never), {
    addresses: ['192.0.2.1'],
    ttlMs: 60_000,
  });
  await assert.rejects(resolveName('x', { resolve4: nothing, resolve6: nothing } as never), /ENODATA/);
});

test('the load balancer of a gateway has a DNS name: its addresses are those that a DNS server tells, and follow it', async () => {
  const server = await startDnsServer('127.0.0.1', { 'lb.example': '192.0.2.7' });
  const resolver = new Resolver({ timeout: 2000, tries: 4 });
  resolver.setServers([`${server.address}:${server.port}`]);
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  sources.set({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'eastwest', namespace: 'istio-system', labels: { 'topology.istio.io/network': 'b' } },
    spec: { type: 'LoadBalancer', ports: [{ name: 'tls', port: 15443 }] },
    status: { loadBalancer: { ingress: [{ hostname: 'lb.example' }] } },
  });
  const known = () => mesh.networkGateways.current.get('b')?.map(({ address, port }) => `${address}:${port}`) ?? [];
  assert.deepEqual(known(), []);
  let changed: (() => void) | undefined;
  const next = () => new Promise<void>((resolve) => (changed = resolve));
  const unsubscribe = mesh.networkGateways.subscribe(() => changed?.());
  let again = (): void => {};
  let first = next();
  const resolution = resolveGatewayNames(mesh.gatewayNames, sources.resolvedNames, {
    resolve: (name) => resolveName(name, resolver),
    after: (_ms, work) => {
      again = work;
      return () => undefined;
    },
    log: recordingLogger(),
  });
  try {
    await first;
    assert.deepEqual(known(), ['192.0.2.7:15443']);
    await turn();
    server.names.set('lb.example', '192.0.2.8');
    first = next();
    again();
    await first;
    assert.deepEqual(known(), ['192.0.2.8:15443']);
    assert.deepEqual([...new Set(server.asked)], ['lb.example']);
  } finally {
    resolution.close();
    unsubscribe();
    resolver.cancel();
    await server.close();
  }
});
