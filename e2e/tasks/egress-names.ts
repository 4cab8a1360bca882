import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { until } from '../support/shell.ts';
import type { Mesh } from './mesh.ts';

const list = (objects: readonly object[]) => JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });

/** Egress by Services of Kubernetes, and by an HTTP proxy outside of the mesh. Wants what `startOutside` has started. */
export function egressNames(mesh: () => Mesh): void {
  const address = async (app: string) =>
    (
      await mesh().cluster.kubectl(
        ...['get', 'pod', '-n', 'outside', '-l', `app=${app}`, '-o', 'jsonpath={.items[0].status.podIP}'],
      )
    ).trim();
  const sidecarLog = () => mesh().cluster.kubectl('logs', 'deploy/curl', '-c', 'istio-proxy');
  test('Kubernetes Services for egress: one without a selector, with rules of the mesh, and an ExternalName for it', async () => {
    await mesh().cluster.podsReady('outside');
    await mesh().apply(
      list([
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'my-outside' },
          spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
        },
        {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: { name: 'my-outside', labels: { 'kubernetes.io/service-name': 'my-outside' } },
          addressType: 'IPv4',
          ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
          endpoints: [{ addresses: [await address('open')], conditions: { ready: true } }],
        },
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'other-name' },
          spec: {
            type: 'ExternalName',
            externalName: 'my-outside.default.svc.cluster.local',
            ports: [{ name: 'http', port: 80 }],
          },
        },
        {
          apiVersion: 'networking.istio.io/v1',
          kind: 'VirtualService',
          metadata: { name: 'my-outside' },
          spec: {
            hosts: ['my-outside'],
            http: [
              {
                headers: { request: { set: { 'x-rule': 'egress' } } },
                route: [{ destination: { host: 'my-outside', port: { number: 80 } } }],
              },
            ],
          },
        },
      ]),
    );
    interface Echo {
      readonly version: string;
      readonly headers: Readonly<Record<string, string>>;
    }
    const echo = await until('the Service without a selector', async () => {
      const found = JSON.parse(await mesh().curl('http://my-outside/')) as Echo;
      return found.headers['x-rule'] === 'egress' ? found : undefined;
    });
    assert.equal(echo.version, 'open');
    const other = await until(
      'the ExternalName',
      async () => JSON.parse(await mesh().curl('http://other-name/')) as Echo,
    );
    assert.equal(other.version, 'open');
    await mesh().remove('service/my-outside', 'virtualservice/my-outside', 'service/other-name');
  });

  test('an external HTTP proxy: CONNECT goes to it as bytes, by its ServiceEntry', async () => {
    proves('ServiceEntry.spec.addresses[]', 'ServiceEntry.spec.ports[].protocol');
    const program = readFileSync(join(import.meta.dirname, '..', 'programs', 'forward-proxy.ts'), 'utf8');
    await mesh().cluster.apply(
      list([
        {
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'forward-proxy' },
          data: { 'forward-proxy.ts': program },
        },
        {
          apiVersion: 'apps/v1',
          kind: 'Deployment',
          metadata: { name: 'forward-proxy' },
          spec: {
            selector: { matchLabels: { app: 'forward-proxy' } },
            template: {
              metadata: { labels: { app: 'forward-proxy' } },
              spec: {
                containers: [
                  {
                    name: 'proxy',
                    image: 'node:24',
                    command: ['node', '/programs/forward-proxy.ts'],
                    volumeMounts: [{ name: 'programs', mountPath: '/programs' }],
                  },
                ],
                volumes: [{ name: 'programs', configMap: { name: 'forward-proxy' } }],
              },
            },
          },
        },
      ]),
      'outside',
    );
    await mesh().cluster.podsReady('outside');
    const proxy = await address('forward-proxy');
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: border-proxy
spec:
  hosts: [border-proxy.example.test]
  addresses: [${proxy}/32]
  ports:
    - {number: 3128, name: tcp, protocol: TCP}
  location: MESH_EXTERNAL
  resolution: NONE
`);
    const target = `https://${await address('open')}:8443/`;
    const text = await until('the answer through the proxy', async () => {
      const answer = await mesh().curl('-k', '-i', '--proxy', `http://${proxy}:3128`, target);
      return answer.includes('via: border') && answer.includes('"version":"open"') ? answer : undefined;
    });
    assert.match(text, /200 Connection established/);
    await until('the connection in the log of the sidecar', async () =>
      (await sidecarLog()).includes('outbound|3128||border-proxy.example.test') ? true : undefined,
    );
    await mesh().remove('serviceentry/border-proxy');
  });
}
