import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { createMesh, MeshSources, watchMesh } from '@istio-ts/mesh';
import { MetricsRegistry } from '@istio-ts/metrics';
import { istioObject, podObject, serviceObject, sliceObject } from '@istio-ts/xds/testing/objects';
import { FakeCluster, settle } from '../fake-cluster.test-support.ts';
import {
  createBatchMetrics,
  createEventMetrics,
  createTargetMetrics,
  registerEndpointMetrics,
  registerFilterMetrics,
} from './kubernetes.ts';

const port = { name: 'http', port: 80 };

function scene() {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  const metrics = new MetricsRegistry();
  /** Series of a metric, `LABELS VALUE` each. */
  const series = (name: string): readonly string[] =>
    metrics
      .text()
      .split('\n')
      .filter((line) => line.startsWith(name) && !line.startsWith('#'))
      .map((line) => line.slice(name.length).trim());
  return { sources, mesh, metrics, series };
}

test('what the API server tells of is counted by kind and event', async () => {
  const { sources, metrics, series } = scene();
  const cluster = new FakeCluster();
  const rule = istioObject('DestinationRule', { name: 'app' }, { host: 'app' });
  cluster.put(istioTypes.DestinationRule, rule);
  cluster.put(kubernetesTypes.Service, serviceObject({ name: 'app' }, [port]));
  const watch = watchMesh(cluster.client, sources, { onEvent: createEventMetrics(metrics) });
  await watch.synced;
  cluster.put(istioTypes.DestinationRule, istioObject('DestinationRule', { name: 'app' }, { host: 'other' }));
  cluster.remove(istioTypes.DestinationRule, 'default', 'app');
  cluster.put(kubernetesTypes.Pod, podObject({ name: 'app-0', ip: '10.0.0.1' }));
  await settle();
  assert.deepEqual(
    [...series('pilot_k8s_cfg_events')].sort(),
    ['add', 'delete', 'update'].map((event) => `{event="${event}",type="DestinationRule"} 1`),
  );
  assert.deepEqual([...series('pilot_k8s_reg_events')].sort(), [
    '{event="add",type="Pod"} 1',
    '{event="add",type="Service"} 1',
  ]);
  assert.deepEqual([...series('pilot_inbound_updates')].sort(), ['{type="config"} 3', '{type="svc"} 1']);
  assert.deepEqual([...series('pilot_push_triggers')].sort(), ['{type="config"} 3', '{type="service"} 1']);
  watch.close();
});

test('changes are timed: how long the first waits for the others, and how long the model takes', async () => {
  const { sources, metrics, series } = scene();
  const cluster = new FakeCluster();
  let time = 0;
  const timed = createBatchMetrics(metrics, () => time);
  const batches: (() => void)[] = [];
  const watch = watchMesh(cluster.client, sources, {
    schedule: (work) => batches.push(timed(work)),
    admits: () => {
      time += 200;
      return true;
    },
  });
  for (const batch of batches.splice(0)) batch();
  await watch.synced;
  cluster.put(kubernetesTypes.Service, serviceObject({ name: 'one' }, [port]));
  time += 40;
  cluster.put(kubernetesTypes.Service, serviceObject({ name: 'two' }, [port]));
  time += 10;
  const before = [...series('pilot_debounce_time_count')];
  assert.equal(batches.length, 1);
  for (const batch of batches.splice(0)) batch();
  assert.deepEqual([...series('pilot_debounce_time_count')], [String(Number(before[0]) + 1)]);
  assert.deepEqual(series('pilot_debounce_time_sum'), ['0.05']);
  assert.deepEqual(series('pilot_pushcontext_init_seconds_sum'), ['0.4']);
  watch.close();
});

test('endpoints whose pods are not there yet', () => {
  const { sources, metrics, series } = scene();
  const shown = registerEndpointMetrics(metrics, sources);
  const values = () => {
    assert.deepEqual(series('endpoint_no_pod'), series('pilot_k8s_endpoints_pending_pod'));
    return [...series('pilot_k8s_endpoints_pending_pod'), ...series('pilot_k8s_endpoints_with_no_pods')];
  };
  assert.deepEqual(values(), ['0', '0']);
  sources.set(sliceObject('app', [port], [{ ip: '10.0.0.1', pod: 'app-0' }]));
  assert.deepEqual(values(), ['1', '1']);
  sources.set(podObject({ name: 'app-0', ip: '10.0.0.1' }));
  assert.deepEqual(values(), ['0', '1']);
  sources.set(sliceObject('app', [port], [{ ip: '10.0.0.1', pod: 'app-0', ready: false }]));
  assert.deepEqual(values(), ['0', '1']);
  shown.close();
});

test('sidecars that are the target of no service', () => {
  const { sources, mesh, metrics, series } = scene();
  const connected = createTargetMetrics(metrics, mesh);
  sources.set(serviceObject({ name: 'app' }, [port], { selector: { app: 'app' } }));
  sources.set(podObject({ name: 'app-0', labels: { app: 'app' }, ip: '10.0.0.1' }));
  sources.set(podObject({ name: 'alone', labels: { app: 'alone' }, ip: '10.0.0.2' }));
  for (const podName of ['app-0', 'alone', 'unknown']) connected({ type: 'sidecar', namespace: 'default', podName });
  connected({ type: 'router', namespace: 'default', podName: 'alone' });
  assert.deepEqual(series('pilot_k8s_proxies_with_no_service_targets'), ['1']);
});

test('patches of EnvoyFilters, applied or in error', () => {
  const { sources, metrics, series } = scene();
  const patch = (applyTo: string, operation: string, value?: object) => ({
    applyTo,
    match: { context: 'SIDECAR_OUTBOUND' },
    patch: { operation, ...(value && { value }) },
  });
  const shown = registerFilterMetrics(metrics, sources);
  const put = (...configPatches: object[]) =>
    sources.set(istioObject('EnvoyFilter', { name: 'one' }, { configPatches }));
  put(
    patch('CLUSTER', 'MERGE', { connectTimeout: '3s' }),
    patch('CLUSTER', 'MERGE', { connectTimeout: '4s' }),
    patch('LISTENER', 'MERGE', { noSuchField: 1 }),
  );
  assert.deepEqual([...series('pilot_envoy_filter_status')].sort(), [
    '{name="default/one",patch="cluster",result="applied"} 2',
    '{name="default/one",patch="listener",result="error"} 1',
  ]);
  put(patch('CLUSTER', 'MERGE', { connectTimeout: '3s' }));
  assert.deepEqual(series('pilot_envoy_filter_status'), ['{name="default/one",patch="cluster",result="applied"} 1']);
  sources.delete(istioObject('EnvoyFilter', { name: 'one' }, {}));
  assert.deepEqual(series('pilot_envoy_filter_status'), []);
  shown.close();
});
