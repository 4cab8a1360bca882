import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, until } from '../../support/shell.ts';
import { echo, manifest, service, type World } from './world.ts';

/** What EnvoyFilters, WasmPlugins and TrafficExtensions do on their way through istiod, agents and Envoys. */
export function patches(world: () => World): void {
  const call = (url: string) => world().client.call(url);
  const object = (kind: string, name: string, spec: object): object => ({
    apiVersion: kind === 'EnvoyFilter' ? 'networking.istio.io/v1alpha3' : 'extensions.istio.io/v1alpha1',
    kind,
    metadata: { name },
    spec,
  });
  const host = 'patched.traffic.svc.cluster.local:8080';

  test('virtual hosts have the names that EnvoyFilters know, and a wrong patch leaves the others in force', async () => {
    const { cluster } = world();
    await cluster.apply(
      manifest([
        service('patched'),
        object('EnvoyFilter', 'patched', {
          workloadSelector: { labels: { app: 'client' } },
          configPatches: [
            {
              applyTo: 'VIRTUAL_HOST',
              match: { context: 'SIDECAR_OUTBOUND', routeConfiguration: { name: '8080', vhost: { name: host } } },
              patch: {
                operation: 'MERGE',
                value: { response_headers_to_add: [{ header: { key: 'x-patched', value: 'yes' } }] },
              },
            },
            { applyTo: 'CLUSTER', patch: { operation: 'MERGE', value: { no_such_field: true } } },
          ],
        }),
      ]),
      'traffic',
    );
    await until('the patched host', async () =>
      (await call('http://patched:8080/')).headers['x-patched'] === 'yes' ? true : undefined,
    );
    assert.equal((await call('http://origin:8080/')).headers['x-patched'], undefined);
    const condition = await until('the condition', async () => {
      const text = await cluster.kubectl(
        ...[
          'get',
          'envoyfilter',
          '-n',
          'traffic',
          'patched',
          '-o',
          'jsonpath={.status.conditions[?(@.type=="Accepted")]}',
        ],
      );
      return text.includes('"False"') ? text : undefined;
    });
    assert.match(condition, /configPatches\[1\].*no_such_field/);
  });

  test('Lua of a TrafficExtension, and a module that cannot be fetched', async () => {
    const { cluster } = world();
    const selector = { matchLabels: { app: 'client' } };
    await cluster.apply(
      manifest([
        object('TrafficExtension', 'scripted', {
          selector,
          match: [{ mode: 'CLIENT', ports: [{ number: 8080 }] }],
          lua: { inlineCode: 'function envoy_on_request(handle) handle:headers():add("x-scripted", "yes") end' },
        }),
        object('WasmPlugin', 'missing', {
          selector,
          url: 'oci://registry.outside.svc.cluster.local:9/none:v1',
          failStrategy: 'FAIL_OPEN',
          match: [{ mode: 'CLIENT', ports: [{ number: 8080 }] }],
        }),
      ]),
      'traffic',
    );
    await until('the script', async () =>
      echo(await call('http://patched:8080/')).headers['x-scripted'] === 'yes' ? true : undefined,
    );
    await until('the agent to tell of the module', async () =>
      (await cluster.kubectl('logs', '-n', 'traffic', 'deploy/client', '-c', 'istio-proxy')).includes(
        'a module cannot be fetched',
      )
        ? true
        : undefined,
    );
    await eventually('requests to pass', async () => assert.equal((await call('http://patched:8080/')).status, 200));
    // The same plugin that fails closed.
    await cluster.apply(
      manifest([
        object('WasmPlugin', 'missing', {
          selector,
          url: 'oci://registry.outside.svc.cluster.local:9/none:v2',
          match: [{ mode: 'CLIENT', ports: [{ number: 8080 }] }],
        }),
      ]),
      'traffic',
    );
    await until('the refusal', async () => ((await call('http://patched:8080/')).status === 403 ? true : undefined));
    await cluster.kubectl('delete', 'wasmplugin,trafficextension,envoyfilter', '-n', 'traffic', '--all');
    await until('everything as before', async () =>
      (await call('http://patched:8080/')).status === 200 ? true : undefined,
    );
  });
}
