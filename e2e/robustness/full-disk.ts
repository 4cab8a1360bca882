import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Cluster, givenKubeconfig } from '../support/cluster.ts';
import { eventually, until } from '../support/shell.ts';
import { certificateOf } from './brief-certificate.ts';
import { callFromClient, changeArrives, deployment, list, podStates, service, withoutFailures } from './mesh.ts';

/** Serves, and fills the volume that it shares with its sidecar, or empties it again, when asked. */
const program = `
const fs = require('fs');
const server = require('http').createServer((request, response) => {
  let told = 'served';
  if (request.url === '/fill') {
    const file = fs.openSync('/shared/filler', 'a');
    for (const size of [65536, 4096, 1]) try { for (;;) fs.writeSync(file, Buffer.alloc(size)); } catch (error) { told = error.code; }
    fs.closeSync(file);
  }
  if (request.url === '/empty') fs.rmSync('/shared/filler');
  response.end(told);
}).listen(8080);
server.keepAliveTimeout = 0;`;

export function fullDiskTests(cluster: () => Cluster): void {
  test('a full disk under the sidecar: requests go on, certificates are renewed, changes arrive, nothing starts again', {
    skip: givenKubeconfig === undefined && 'volumes of the local cluster are folders without a limit of their own',
  }, async (t) => {
    const { kubectl, apply, podsReady, istioctl } = cluster();
    const say = (line: string) => t.diagnostic(line);
    const annotations = {
      // Everything that agent and Envoy write, beside their output, goes to the volume: bootstrap and sockets, certificates for applications, access log.
      'proxy.istio.io/config': JSON.stringify({
        proxyMetadata: { SECRET_TTL: '20s', OUTPUT_CERTS: '/etc/istio/proxy/certificates' },
      }),
    };
    await apply(
      list(
        service('full'),
        deployment('full', 1, {
          program,
          annotations,
          container: { volumeMounts: [{ name: 'istio-envoy', mountPath: '/shared' }] },
          spec: { volumes: [{ name: 'istio-envoy', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } }] },
        }),
        {
          apiVersion: 'networking.istio.io/v1alpha3',
          kind: 'EnvoyFilter',
          metadata: { name: 'full' },
          spec: {
            workloadSelector: { labels: { app: 'full' } },
            configPatches: [
              {
                applyTo: 'NETWORK_FILTER',
                match: {
                  context: 'SIDECAR_INBOUND',
                  listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } },
                },
                patch: {
                  operation: 'MERGE',
                  value: {
                    typed_config: {
                      '@type':
                        'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                      access_log: [
                        {
                          name: 'envoy.access_loggers.file',
                          typed_config: {
                            '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
                            path: '/etc/istio/proxy/access.log',
                          },
                        },
                      ],
                    },
                  },
                },
              },
            ],
          },
        },
      ),
    );
    await podsReady('default', 'app=full');
    const [pod] = await podStates(cluster(), 'default', 'full');
    assert.ok(pod);
    const ask = (path: string) =>
      kubectl('exec', pod.name, '-c', 'app', '--', 'curl', '-s', `http://127.0.0.1:8080/${path}`);
    await eventually('the pod to answer', async () =>
      assert.equal((await callFromClient(cluster(), 'full')).status, 200),
    );
    await withoutFailures(cluster(), say, async () => {
      say(`filled until ${await ask('fill')}`);
      const first = await certificateOf(cluster(), pod.name);
      await changeArrives(cluster(), 'disk-is-full');
      // Its own proxy takes changes, too.
      await apply(
        list({
          apiVersion: 'networking.istio.io/v1',
          kind: 'ServiceEntry',
          metadata: { name: 'while-full' },
          spec: {
            hosts: ['while-full.example.test'],
            resolution: 'STATIC',
            ports: [{ number: 8123, name: 'http', protocol: 'HTTP' }],
            endpoints: [{ address: '10.1.2.3' }],
          },
        }),
      );
      await eventually('a change in the proxy on the full disk', async () =>
        assert.match(await istioctl('proxy-config', 'clusters', `${pod.name}.default`), /while-full\.example\.test/),
      );
      const seen = new Set([first.serialNumber]);
      await until('two more certificates', async () => {
        seen.add((await certificateOf(cluster(), pod.name)).serialNumber);
        await ask('fill');
        assert.equal((await callFromClient(cluster(), 'full')).status, 200);
        return seen.size >= 3 ? true : undefined;
      });
      const log = await kubectl('logs', pod.name, '-c', 'istio-proxy');
      const complaint = log.split('\n').find((line) => line.includes('certificates cannot be written'));
      assert.match(complaint ?? log, /ENOSPC/);
      say(`the agent: ${complaint}`);
      await ask('empty');
    });
    // With room again the files are written again.
    const fileNow = async () =>
      kubectl('exec', pod.name, '-c', 'app', '--', 'cat', '/shared/certificates/cert-chain.pem');
    await eventually('the certificate of the proxy in the file for applications', async () => {
      const { raw } = await certificateOf(cluster(), pod.name);
      const base64 = raw.toString('base64');
      assert.ok((await fileNow()).replace(/\s/g, '').includes(base64));
    });
    // Lines of that time are lost; Envoy goes on with the next ones.
    const lines = async () =>
      Number(await kubectl('exec', pod.name, '-c', 'app', '--', 'grep', '-c', '', '/shared/access.log'));
    await eventually('new lines in the access log', async () => {
      const before = await lines();
      assert.equal((await callFromClient(cluster(), 'full')).status, 200);
      await eventually('a line of this request', async () => assert.ok((await lines()) > before), 20_000);
    });
    const [after] = await podStates(cluster(), 'default', 'full');
    assert.deepEqual([after?.name, after?.restarts, after?.ready], [pod.name, 0, true]);
    await kubectl(
      'delete',
      'deployment/full',
      'service/full',
      'envoyfilter/full',
      'serviceentry/while-full',
      '--wait=false',
    );
  });
}
