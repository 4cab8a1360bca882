import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { MetricsRegistry } from '@istio-ts/metrics';
import { createEngine, type ProxyNode, typeUrls } from '@istio-ts/xds';
import { selfSigned } from '@istio-ts/xds/testing/certificate';
import { istioObject, secretObject } from '@istio-ts/xds/testing/objects';
import { recordingLogger } from '../log.test-support.ts';
import { createEngineReports } from './engine.ts';

const router: ProxyNode = {
  id: 'router~10.0.0.1~gateway-0.istio-system~istio-system.svc.cluster.local',
  cluster: 'gateway.istio-system',
  type: 'router',
  ipAddress: '10.0.0.1',
  podName: 'gateway-0',
  namespace: 'istio-system',
  dnsDomain: 'istio-system.svc.cluster.local',
  locality: { region: '', zone: '', subzone: '' },
  metadata: { LABELS: { istio: 'ingressgateway' } },
  envoyVersion: undefined,
  identity: 'spiffe://cluster.local/ns/istio-system/sa/gateway',
};

test('Secrets that gateways miss, or that hold nothing usable, are counted and told of', () => {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const metrics = new MetricsRegistry();
  const log = recordingLogger();
  const engine = createEngine(createMesh(sources), { schedule: () => {}, ...createEngineReports(metrics, log) });
  const named = (name: string) =>
    istioObject(
      'Gateway',
      { name },
      {
        selector: { istio: 'ingressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https', protocol: 'HTTPS' },
            hosts: [`${name}.example.com`],
            tls: { mode: 'SIMPLE', credentialName: `${name}-cert` },
          },
        ],
      },
    );
  const good = selfSigned('good.example.com');
  for (const name of ['absent', 'broken', 'good']) sources.set(named(name));
  sources.set(
    secretObject({ name: 'broken-cert', namespace: 'istio-system' }, { 'tls.crt': 'nonsense', 'tls.key': '' }),
  );
  sources.set(
    secretObject(
      { name: 'good-cert', namespace: 'istio-system' },
      { 'tls.crt': good.certificate, 'tls.key': good.key },
    ),
  );
  const found = engine.connect(router).resources(typeUrls.secret);
  const secrets = ['absent', 'broken', 'good'].map((name) => found.get(`kubernetes://${name}-cert`) !== undefined);
  assert.deepEqual(secrets, [false, false, true]);
  assert.match(metrics.text(), /^pilot_sds_certificate_errors_total 2$/m);
  assert.match(log.lines.join('\n'), /warn Secret istio-system\/absent-cert: /);
  assert.match(log.lines.join('\n'), /warn Secret istio-system\/broken-cert: data/);
});
