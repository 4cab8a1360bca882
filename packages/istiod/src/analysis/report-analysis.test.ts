import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeObject, ResourceType } from '@istio-ts/kube';
import { MetricsRegistry } from '@istio-ts/metrics';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { meshOnCluster } from '../fake-cluster.test-support.ts';
import { recordingLogger } from '../log.test-support.ts';
import { reportAnalysis } from './report-analysis.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

function scene() {
  const { cluster, sources, mesh, put } = meshOnCluster();
  const metrics = new MetricsRegistry();
  const log = recordingLogger();
  const start = (
    identity = 'istiod-0',
    more: { readonly secretNamespaces?: readonly string[]; readonly metrics?: MetricsRegistry } = {},
  ) => {
    const report = reportAnalysis(
      sources,
      mesh,
      cluster.client,
      more.metrics ?? metrics,
      {
        clusterId: 'Kubernetes',
        revision: 'default',
        namespace: 'istio-system',
        identity,
        intervalMs: 1,
        workers: 3,
        now: () => new Date('2026-01-01T00:00:00Z'),
        sleep: (ms, signal) => sleep(Math.min(ms, 20), undefined, { signal }),
        ...(more.secretNamespaces && { secretNamespaces: more.secretNamespaces }),
      },
      log,
    );
    for (const kind of Object.values(istioTypes)) {
      const watch = cluster.client.watch(kind, {}, (event) => {
        if (event.type === 'ADDED' || event.type === 'MODIFIED') report.observe(event.object);
      });
      closing.push(() => watch.close());
    }
    report.start();
    closing.push(report.close);
    return report;
  };
  /** `CODE LEVEL` of the messages in an object's status, and what its condition says. */
  const told = (type: ResourceType, name: string, namespace = 'shop') => {
    const status = (cluster.get(type, namespace, name)?.status ?? {}) as {
      readonly validationMessages?: readonly { readonly type: { readonly code: string }; readonly level: string }[];
      readonly conditions?: readonly { readonly type: string; readonly status: string; readonly message: string }[];
    };
    const condition = status.conditions?.find((one) => one.type === 'PassedAnalysis');
    return {
      messages: (status.validationMessages ?? []).map(({ type: { code }, level }) => `${code} ${level}`),
      passed: condition?.status,
      text: condition?.message ?? '',
    };
  };
  return { cluster, put, metrics, log, start, told };
}

const config = (kind: string, name: string, spec: object, more: object = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace: 'shop', creationTimestamp: '2026-01-01T00:00:00Z', ...more },
  spec: spec as Readonly<Record<string, unknown>>,
});
const service = (name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: { clusterIP: '10.0.0.1', ports: [{ name: 'http', port: 80 }], selector: { app: name } },
});
const pod = (name: string, labels: Readonly<Record<string, string>>, namespace = 'shop'): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels },
  spec: { containers: [] },
  status: { phase: 'Running', podIPs: [{ ip: '10.1.0.1' }] },
});
const routeTo = (name: string, destination: object, hosts: readonly string[] = [name]): KubeObject =>
  config('VirtualService', name, { hosts, http: [{ route: [{ destination }] }] });
const gateway = (name: string, host: string, credentialName = 'shop-cert') =>
  config('Gateway', name, {
    selector: { istio: 'ingressgateway' },
    servers: [
      {
        port: { number: 443, name: 'https', protocol: 'HTTPS' },
        hosts: [host],
        tls: { mode: 'SIMPLE', credentialName },
      },
    ],
  });

describe('analysis in istiod', () => {
  it('tells of missing hosts in status and metrics, and takes it back', async () => {
    const { put, start, told, metrics, cluster } = scene();
    put(istioTypes.VirtualService, routeTo('web', { host: 'absent' }));
    put(istioTypes.VirtualService, routeTo('fine', { host: 'there' }));
    put(kubernetesTypes.Service, service('there'));
    start();
    await eventually(
      'the condition of a missing host',
      () => told(istioTypes.VirtualService, 'web').passed === 'False',
    );
    assert.deepEqual(told(istioTypes.VirtualService, 'web').messages, ['IST0101 ERROR']);
    assert.match(told(istioTypes.VirtualService, 'web').text, /IST0101 spec\.http\[0\]\.route\[0\].*"absent"/);
    assert.match(metrics.text(), /^istiod_analysis_messages\{code="IST0101",level="Error"\} 1$/m);
    put(kubernetesTypes.Service, service('absent'));
    await eventually('the condition after the mending', () => told(istioTypes.VirtualService, 'web').passed === 'True');
    assert.deepEqual(told(istioTypes.VirtualService, 'web').messages, []);
    assert.doesNotMatch(metrics.text(), /istiod_analysis_messages\{code="IST0101"/);
    assert.equal(cluster.get(istioTypes.VirtualService, 'shop', 'fine')?.status, undefined);
  });

  it('tells of missing subsets, of subsets without pods and of rules without a service', async () => {
    const { put, start, told, cluster } = scene();
    put(kubernetesTypes.Service, service('web'));
    put(kubernetesTypes.Pod, pod('web-0', { app: 'web', version: 'v1' }));
    put(istioTypes.VirtualService, routeTo('web', { host: 'web', subset: 'v3' }));
    const subsets = ['v1', 'v2'].map((version) => ({ name: version, labels: { version } }));
    put(istioTypes.DestinationRule, config('DestinationRule', 'web', { host: 'web', subsets }));
    put(istioTypes.DestinationRule, config('DestinationRule', 'nobody', { host: 'nobody' }));
    start();
    await eventually(
      'the conditions',
      () =>
        told(istioTypes.VirtualService, 'web').passed === 'False' &&
        told(istioTypes.DestinationRule, 'web').passed === 'False' &&
        told(istioTypes.DestinationRule, 'nobody').passed === 'False',
    );
    assert.match(told(istioTypes.VirtualService, 'web').text, /web\+v3/);
    assert.deepEqual(told(istioTypes.DestinationRule, 'web').messages, ['IST0173 ERROR']);
    assert.deepEqual(told(istioTypes.DestinationRule, 'nobody').messages, ['IST0174 WARNING']);
    put(kubernetesTypes.Pod, pod('web-1', { app: 'web', version: 'v2' }));
    await eventually('a pod of the subset', () => told(istioTypes.DestinationRule, 'web').passed === 'True');
    assert.equal(
      cluster.writes.filter((one) => one.includes('destinationrules shop/web')).length,
      2,
      'one write for the problem, one for its end',
    );
  });

  it('tells of conflicts, and of Secrets that gateways miss', async () => {
    const { put, start, told } = scene();
    put(kubernetesTypes.Service, service('web'));
    put(kubernetesTypes.Pod, pod('gateway-0', { istio: 'ingressgateway' }, 'edge'));
    for (const name of ['one', 'two'])
      put(istioTypes.VirtualService, routeTo(name, { host: 'web' }, ['web.shop.svc.cluster.local']));
    for (const name of ['east', 'west']) put(istioTypes.Gateway, gateway(name, 'shop.test'));
    start();
    const all = ['one', 'two'].map((name) => [istioTypes.VirtualService, name] as const);
    const gateways = ['east', 'west'].map((name) => [istioTypes.Gateway, name] as const);
    await eventually('the conditions', () => [...all, ...gateways].every((one) => told(...one).passed === 'False'));
    for (const one of all) assert.deepEqual(told(...one).messages, ['IST0109 ERROR']);
    for (const one of gateways) {
      assert.deepEqual(told(...one).messages.sort(), ['IST0101 ERROR', 'IST0138 WARNING', 'IST0145 ERROR']);
      assert.match(told(...one).text, /edge\/shop-cert/);
    }
  });

  it('tells of Gateways that no pod serves', async () => {
    const { put, start, told } = scene();
    put(istioTypes.Gateway, gateway('east', 'shop.test'));
    start('istiod-0');
    await eventually('the message', () => told(istioTypes.Gateway, 'east').text.includes('IST0101 spec.selector'));
  });

  it('says nothing of Secrets that it may not read', async () => {
    const { put, start, told } = scene();
    put(kubernetesTypes.Pod, pod('gateway-0', { istio: 'ingressgateway' }, 'edge'));
    put(istioTypes.Gateway, gateway('east', 'shop.test'));
    put(istioTypes.VirtualService, routeTo('web', { host: 'absent' }));
    start('istiod-0', { secretNamespaces: ['istio-system'] });
    await eventually(
      'the condition of the other object',
      () => told(istioTypes.VirtualService, 'web').passed === 'False',
    );
    assert.deepEqual(told(istioTypes.Gateway, 'east'), { messages: [], passed: undefined, text: '' });
  });

  it('takes back what an earlier istiod wrote, and heeds the annotation against messages', async () => {
    const { put, start, told } = scene();
    put(kubernetesTypes.Service, service('web'));
    put(istioTypes.VirtualService, {
      ...routeTo('web', { host: 'web' }),
      status: {
        validationMessages: [{ type: { code: 'IST0101', name: 'ReferencedResourceNotFound' }, level: 'ERROR' }],
        conditions: [
          { type: 'PassedAnalysis', status: 'False', message: 'old' },
          { type: 'Theirs', status: 'True' },
        ],
      },
    });
    put(istioTypes.VirtualService, {
      ...routeTo('quiet', { host: 'absent' }),
      metadata: {
        name: 'quiet',
        namespace: 'shop',
        annotations: { 'galley.istio.io/analyze-suppress': 'IST0101' },
      },
    });
    start();
    await eventually('the condition after the mending', () => told(istioTypes.VirtualService, 'web').passed === 'True');
    assert.deepEqual(told(istioTypes.VirtualService, 'quiet').passed, undefined);
  });

  it('nobody leads before there is something to write; one of two writes', async () => {
    const { put, start, told, cluster } = scene();
    put(kubernetesTypes.Service, service('web'));
    put(istioTypes.VirtualService, routeTo('web', { host: 'web' }));
    const first = start('istiod-0');
    start('istiod-1', { metrics: new MetricsRegistry() });
    // Long enough for an istiod that would write at once to have done so.
    await sleep(50);
    assert.equal(cluster.writes.length, 0);
    put(istioTypes.VirtualService, routeTo('bad', { host: 'absent' }));
    await eventually('the condition', () => told(istioTypes.VirtualService, 'bad').passed === 'False');
    assert.equal(cluster.writes.filter((one) => one.includes('virtualservices')).length, 1);
    first.close();
    put(istioTypes.VirtualService, routeTo('worse', { host: 'absent' }));
    await eventually('the work of the next leader', () => told(istioTypes.VirtualService, 'worse').passed === 'False');
  });

  it('a server that refuses is told of once', async () => {
    const { put, start, cluster, log } = scene();
    cluster.refuse = (write) => {
      if (write.includes('virtualservices')) throw new Error('no rights');
    };
    put(istioTypes.VirtualService, routeTo('web', { host: 'absent' }));
    start();
    await eventually('a line of the log', () => log.lines.length > 0);
    assert.match(log.lines[0] ?? '', /warn cannot write the status of VirtualService shop\/web: no rights/);
  });
});
