import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode, encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc';
import { findEnvoy, withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { istioObject, podObject } from '@istio-ts/xds/testing/objects';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { freePort } from '../clients/agent.test-support.ts';
import { accountToken, startControlPlane } from '../clients/control-plane.test-support.ts';

const TYPE = 'type.googleapis.com/envoy.config.bootstrap.v3.Bootstrap';

test('an agent of Istio that asks for its bootstrap gets a whole one with what EnvoyFilters add', {
  skip: withoutEnvoy,
}, async () => {
  const [admin, status, prometheus] = [await freePort(), await freePort(), await freePort()];
  const patch = (value: object) => ({ applyTo: 'BOOTSTRAP', patch: { operation: 'MERGE', value } });
  const controlPlane = await startControlPlane([
    podObject({ name: 'client-1', labels: { app: 'client' }, ip: '127.0.0.1', account: 'client' }),
    istioObject(
      'EnvoyFilter',
      { name: 'bootstrap' },
      {
        workloadSelector: { labels: { app: 'client' } },
        configPatches: [
          patch({ static_resources: { clusters: [{ name: 'added', type: 'STATIC', connect_timeout: '1s' }] } }),
          patch({ stats_flush_interval: '6s' }),
        ],
      },
    ),
    istioObject(
      'EnvoyFilter',
      { name: 'others' },
      {
        workloadSelector: { labels: { app: 'another' } },
        configPatches: [patch({ static_resources: { clusters: [{ name: 'not-added', type: 'STATIC' }] } })],
      },
    ),
  ]);
  const [host = '', port = ''] = controlPlane.secure.split(':');
  const channel = openGrpcChannel({
    kind: 'tls',
    host,
    port: Number(port),
    serverName: 'istiod.istio-system.svc',
    tls: { ca: controlPlane.root },
  });
  const directory = mkdtempSync(join(tmpdir(), 'stock-bootstrap-'));
  try {
    const stream = await channel.stream(
      '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      {
        metadata: { authorization: `Bearer ${accountToken('default', 'client')}`, clusterid: 'Kubernetes' },
      },
    );
    await stream.write(
      encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
        typeUrl: TYPE,
        node: {
          id: 'sidecar~127.0.0.1~client-1.default~default.svc.cluster.local',
          cluster: 'client.default',
          metadata: {
            NAME: 'client-1',
            NAMESPACE: 'default',
            ISTIO_VERSION: '1.30.0',
            CLUSTER_ID: 'Kubernetes',
            SERVICE_ACCOUNT: 'client',
            INSTANCE_IPS: '127.0.0.1',
            LABELS: { app: 'client' },
            ENVOY_STATUS_PORT: status,
            ENVOY_PROMETHEUS_PORT: prometheus,
            PROXY_CONFIG: {
              discoveryAddress: 'istiod.istio-system.svc:15012',
              proxyAdminPort: admin,
              statusPort: 15020,
            },
          },
        },
      }),
    );
    let bootstrap: unknown;
    for await (const bytes of stream.messages()) {
      const response = decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes);
      assert.equal(response.typeUrl, TYPE);
      bootstrap = response.resources?.[0]?.resource;
      break;
    }
    stream.cancel();
    const { '@type': type, ...content } = bootstrap as { readonly '@type': string };
    assert.equal(type, TYPE);
    writeFileSync(join(directory, 'envoy.json'), JSON.stringify(content));
    const envoy = spawn(findEnvoy() ?? '', ['-c', 'envoy.json', '--disable-hot-restart', '-l', 'warning'], {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let log = '';
    envoy.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
    const ended = new Promise((resolve) => envoy.once('exit', resolve));
    try {
      const page = async (path: string): Promise<string> => (await fetch(`http://127.0.0.1:${admin}${path}`)).text();
      const clusters = await eventually(
        'the added cluster',
        () => page('/clusters'),
        (text) => /^added::/m.test(text),
        () => log,
      );
      for (const name of ['xds-grpc', 'sds-grpc', 'agent', 'prometheus_stats'])
        assert.match(clusters, new RegExp(`^${name}::`, 'm'));
      assert.doesNotMatch(clusters, /not-added/);
      const { node } = JSON.parse(await page('/server_info'));
      assert.equal(node.metadata.NAME, 'client-1');
      const dump = await page('/config_dump?mask=bootstrap');
      assert.match(dump, /"stats_flush_interval": "6s"/);
      assert.match(dump, /"cluster": "prometheus_stats"/);
    } finally {
      envoy.kill('SIGKILL');
      await ended;
    }
  } finally {
    rmSync(directory, { recursive: true });
    channel.close();
    await controlPlane.close();
  }
});
