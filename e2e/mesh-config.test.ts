import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { until } from './support/shell.ts';

const reason = obstacle();

/** Answers every request with its name. */
const program = `require('http').createServer((request, response) => response.end('served')).listen(8080);`;

const pod = (name: string, annotations: Readonly<Record<string, string>> = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name }, annotations },
  spec: {
    terminationGracePeriodSeconds: 1,
    containers: [{ name: 'app', image: 'busybox', imagePullPolicy: 'IfNotPresent', command: ['node', '-e', program] }],
  },
});
const service = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app: name }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});
const list = (...items: readonly object[]): string => JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
const teapot = (host: string) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'teapot', namespace: 'default' },
  spec: { hosts: [host], http: [{ directResponse: { status: 418 } }] },
});

describe('the mesh configuration', { skip: reason ?? false }, () => {
  const cluster = ownCluster(async ({ istioctl, kubectl, apply, podsReady }) => {
    await istioctl(
      'install',
      ...['-y', '--set', 'profile=minimal'],
      ...['--set', 'meshConfig.proxyListenPort=16001', '--set', 'meshConfig.proxyInboundListenPort=16006'],
    );
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled', 'mesh=yes');
    await kubectl('create', 'namespace', 'other');
    await apply(list(service('server')));
    await apply(list(service('elsewhere'), pod('elsewhere')), 'other');
    await apply(list(pod('client'), pod('server')));
    await podsReady('default');
    await podsReady('other');
  });

  const curl = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await cluster().tryKubectl(
      ...['exec', 'client', '-c', 'app', '--', 'curl', '-s', '-o', '/dev/null', '-w', '%{http_code}'],
      ...['--max-time', '5', ...args],
    );
    return stdout === '' ? stderr : stdout;
  };
  const answers = (url: string, status: string, why: string) =>
    until(why, async () => ((await curl(url)) === status ? true : undefined));

  /** Changes fields of the mesh configuration, as a user who edits the ConfigMap; `null` removes one. */
  async function change(fields: Readonly<Record<string, unknown>>): Promise<void> {
    const { kubectl } = cluster();
    const { data } = JSON.parse(await kubectl('-n', 'istio-system', 'get', 'configmap', 'istio', '-o', 'json')) as {
      readonly data: { readonly mesh: string };
    };
    const kept = data.mesh
      .split('\n')
      .filter((line) => !Object.keys(fields).some((field) => line.startsWith(`${field}:`)));
    const added = Object.entries(fields).flatMap(([field, value]) =>
      value === null ? [] : [`${field}: ${JSON.stringify(value)}`],
    );
    const mesh = [...kept, ...added, ''].join('\n');
    await kubectl(
      ...['-n', 'istio-system', 'patch', 'configmap', 'istio', '--type', 'merge', '-p'],
      JSON.stringify({ data: { mesh } }),
    );
  }
  const istiod = () => cluster().kubectl('-n', 'istio-system', 'get', 'pods', '-l', 'app=istiod', '-o', 'name');

  test('ports on which traffic is taken', async () => {
    proves('MeshConfig.proxyListenPort', 'MeshConfig.proxyInboundListenPort');
    await answers('http://server/', '200', 'an answer');
    const { kubectl } = cluster();
    const admin = ['--', 'curl', '-s', 'localhost:15000'];
    const listeners = await kubectl('exec', 'client', '-c', 'app', ...admin.slice(0, -1), `${admin.at(-1)}/listeners`);
    assert.match(listeners, /virtualOutbound::0\.0\.0\.0:16001/);
    assert.match(listeners, /virtualInbound::0\.0\.0\.0:16006/);
    const clusters = await kubectl('exec', 'server', '-c', 'app', '--', 'curl', '-s', 'localhost:15000/clusters');
    assert.match(clusters, /inbound\|8080\|\|::[^\n]*::rq_total::[1-9]/);
  });

  test('inboundTrafficPolicy PASSTHROUGH: an application gets requests at the address of its pod', async () => {
    proves('MeshConfig.inboundTrafficPolicy.mode');
    const { apply, podsReady } = cluster();
    const own = pod('bound');
    const [container] = own.spec.containers;
    const spec = {
      ...own.spec,
      containers: [
        {
          ...container,
          env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
          command: ['node', '-e', program.replace('listen(8080)', 'listen(8080, process.env.POD_IP)')],
        },
      ],
    };
    await apply(list(service('bound'), { ...own, spec }));
    await podsReady('default');
    await answers('http://bound/', '200', 'an answer of what listens at the address of the pod');
  });

  test('changes are in force without a restart of istiod, and a slip changes nothing', async () => {
    proves(
      'MeshConfig.outboundTrafficPolicy.mode',
      'MeshConfig.discoverySelectors[].matchLabels',
      'MeshConfig.proxyHttpPort',
    );
    const before = await istiod();
    await answers('http://elsewhere.other/', '200', 'a service of another namespace');
    // A name that no service has, at an address that some pod has.
    const { items } = JSON.parse(await cluster().kubectl('-n', 'other', 'get', 'pods', '-o', 'json')) as {
      readonly items: readonly { readonly status: { readonly podIP: string } }[];
    };
    const unknown = `http://${items[0]?.status.podIP}:8080/`;
    await answers(unknown, '200', 'what is unknown is let through');
    await change({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
    await until('what is unknown is refused', async () => ((await curl(unknown)) === '200' ? undefined : true));
    await change({ discoverySelectors: [{ matchLabels: { mesh: 'yes' } }] });
    await answers('http://elsewhere.other/', '502', 'a namespace that is left out');
    await cluster().kubectl('label', 'namespace', 'other', 'mesh=yes');
    await answers('http://elsewhere.other/', '200', 'the namespace again');
    // An invalid value leaves the last good configuration in force.
    await change({ outboundTrafficPolicy: { mode: 'EVERYTHING' } });
    await change({ proxyHttpPort: 15_807, outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } });
    await until('the proxy port', async () =>
      (await curl('-x', 'http://127.0.0.1:15807', 'http://server.default/')) === '200' ? true : undefined,
    );
    assert.equal(await istiod(), before);
  });

  test('configSources: configuration out of files', async () => {
    proves('MeshConfig.configSources[].address');
    const { apply, kubectl } = cluster();
    // What the API server has counts no longer.
    await apply(list(teapot('server.default.svc.cluster.local')));
    await answers('http://server/', '418', 'the VirtualService of the API server');
    await apply(
      list({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'files' },
        data: { 'config.yaml': JSON.stringify(teapot('elsewhere.other.svc.cluster.local')) },
      }),
      'istio-system',
    );
    await change({ configSources: [{ address: 'fs:///etc/istio/files' }] });
    await kubectl(
      ...['-n', 'istio-system', 'patch', 'deployment', 'istiod', '--type', 'json', '-p'],
      JSON.stringify([
        { op: 'add', path: '/spec/template/spec/volumes/-', value: { name: 'files', configMap: { name: 'files' } } },
        {
          op: 'add',
          path: '/spec/template/spec/containers/0/volumeMounts/-',
          value: { name: 'files', mountPath: '/etc/istio/files' },
        },
      ]),
    );
    await kubectl('-n', 'istio-system', 'rollout', 'status', 'deployment', 'istiod', '--timeout=300s');
    await answers('http://elsewhere.other/', '418', 'the VirtualService of the file');
    await answers('http://server/', '200', 'nothing of the API server');
  });
});
