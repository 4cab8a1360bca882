import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type RequestListener } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { findEnvoy, withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import type { KubeObject } from '@istio-ts/kube/object';
import { proves } from '@istio-ts/xds/field-proof';
import { httpGet } from '@istio-ts/xds/testing/http-client';
import { istioObject, podObject, serviceObject, sliceObject } from '@istio-ts/xds/testing/objects';
import { headerModule } from '@istio-ts/xds/testing/wasm';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { freePort, OWN_AGENT, type RunningAgent, startAgent } from './agent.test-support.ts';
import { type ControlPlane, startControlPlane } from './control-plane.test-support.ts';
import { type Cleanups, listening } from './listening.test-support.ts';

/** WasmPlugins whose modules have to be fetched: through the control plane, an agent that fetches them, and its Envoy, as a client sees it. */

const byte = 16 + Math.floor(Math.random() * 200);
const ip = (last: number): string => `127.83.${byte}.${last}`;
const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const cleanups: Cleanups = [];
const answering = (handle: RequestListener, address?: string): Promise<number> =>
  listening(createServer(handle), cleanups, address);

/** A registry (OCI distribution specification) of images with one layer, for who shows the password of `me`. */
async function startRegistry() {
  const images = new Map<string, Buffer>();
  const blobs = new Map<string, Buffer>();
  const pulls: string[] = [];
  const port = await answering((request, response) => {
    const path = request.url ?? '';
    if (request.headers.authorization !== `Basic ${Buffer.from('me:secret').toString('base64')}`) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="registry"' }).end();
      return;
    }
    pulls.push(path);
    const [, repository, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(path) ?? [];
    const found = kind === 'manifests' ? images.get(`${repository}:${reference}`) : blobs.get(reference ?? '');
    response.writeHead(found ? 200 : 404).end(found);
  });
  return {
    host: `127.0.0.1:${port}`,
    pulls,
    /** Puts a module under a name and gives the digest of the image. */
    put: (name: string, module: Buffer): string => {
      const digest = `sha256:${sha256(module)}`;
      const mediaType = 'application/vnd.module.wasm.content.layer.v1+wasm';
      const manifest = Buffer.from(
        JSON.stringify({ schemaVersion: 2, layers: [{ mediaType, digest, size: module.length }] }),
      );
      blobs.set(digest, module);
      images.set(name, manifest);
      return sha256(manifest);
    },
  };
}

const names = [
  ...['file', 'sum', 'wrongSum', 'image', 'imageSum', 'wrongImage'],
  ...['anonymous', 'named', 'metadata', 'kept', 'always'],
] as const;
type Name = (typeof names)[number];

describe('modules that the agent fetches', { skip: withoutEnvoy }, () => {
  let controlPlane: ControlPlane;
  let agent: RunningAgent;
  let registry: Awaited<ReturnType<typeof startRegistry>>;
  let plugin: (name: Name, spec: object) => KubeObject;
  const ports = {} as Record<Name, number>;
  const asked: string[] = [];
  const told = (): string => [...controlPlane.complaints, agent.output()].join('\n');

  before(async () => {
    for (const name of names) ports[name] = await freePort();
    const origin = await answering((request, response) => response.end(JSON.stringify(request.headers)), ip(1));
    const module = headerModule('x-wasm', 'yes');
    const files = `127.0.0.1:${await answering((_request, response) => response.end(module))}`;
    const private_ = await answering((request, response) => {
      asked.push(request.url ?? '');
      response.end(module);
    });
    registry = await startRegistry();
    const digest = registry.put('team/filter:v1', module);
    registry.put('team/moving:v1', headerModule('x-version', '1'));
    plugin = (name, spec) =>
      istioObject(
        'WasmPlugin',
        { name: name.toLowerCase() },
        { ...spec, match: [{ mode: 'CLIENT', ports: [{ number: ports[name] }] }] },
      );
    const image = { url: `oci://${registry.host}/team/filter:v1`, imagePullSecret: 'registry' };
    const moving = { url: `oci://${registry.host}/team/moving:v1`, imagePullSecret: 'registry' };
    const specs: Readonly<Record<Name, object>> = {
      file: { url: `http://${files}/module.wasm` },
      sum: { url: `http://${files}/other.wasm`, sha256: sha256(module) },
      wrongSum: { url: `http://${files}/other.wasm`, sha256: sha256(Buffer.from('another')) },
      image,
      imageSum: { ...image, sha256: digest },
      wrongImage: { ...image, sha256: sha256(module) },
      anonymous: { url: `oci://${registry.host}/team/filter:v2` },
      named: { url: `http://localhost:${private_}/named` },
      metadata: { url: 'http://169.254.169.254/latest/meta-data/', failStrategy: 'FAIL_OPEN' },
      kept: { ...moving, imagePullPolicy: 'IfNotPresent' },
      always: { ...moving, imagePullPolicy: 'Always' },
    };
    controlPlane = await startControlPlane(
      [
        serviceObject(
          { name: 'web' },
          names.map((name) => ({ name: `http-${name.toLowerCase()}`, port: ports[name], targetPort: origin })),
        ),
        podObject({ name: 'web-1', labels: { app: 'web' }, ip: ip(1), mesh: false }),
        sliceObject(
          'web',
          names.map((name) => ({ name: `http-${name.toLowerCase()}`, port: origin, protocol: 'TCP' })),
          [{ ip: ip(1), pod: 'web-1' }],
        ),
        podObject({ name: 'client-1', labels: { app: 'client' }, ip: ip(2), account: 'client' }),
        istioObject(
          'Sidecar',
          { name: 'client' },
          {
            workloadSelector: { labels: { app: 'client' } },
            egress: names.map((name) => ({
              port: { number: ports[name], protocol: 'HTTP', name: `http-${name.toLowerCase()}` },
              bind: '127.0.0.1',
              captureMode: 'NONE',
              hosts: ['./*'],
            })),
          },
        ),
        {
          apiVersion: 'v1',
          kind: 'Secret',
          type: 'kubernetes.io/dockerconfigjson',
          metadata: { name: 'registry', namespace: 'default' },
          data: {
            '.dockerconfigjson': Buffer.from(
              JSON.stringify({ auths: { [registry.host]: { username: 'me', password: 'secret' } } }),
            ).toString('base64'),
          },
        },
        ...names.map((name) => plugin(name, specs[name])),
      ],
      { proxyListenPort: await freePort(), proxyInboundListenPort: await freePort() },
    );
    cleanups.push(() => controlPlane.close());
    agent = await startAgent({
      command: OWN_AGENT,
      controlPlane,
      pod: { name: 'client-1', namespace: 'default', account: 'client', ip: ip(2), labels: { app: 'client' } },
      env: { ENVOY_BINARY: findEnvoy() ?? '', WASM_INSECURE_REGISTRIES: `${registry.host},${files}` },
    });
    cleanups.push(() => agent.stop());
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  /** What a request through a plugin comes to: the headers that arrive, or the status. */
  const call = async (name: Name): Promise<Readonly<Record<string, string>> | number> => {
    const { status, body } = await httpGet({ port: ports[name], host: `web.default:${ports[name]}` });
    return status === 200 ? JSON.parse(body) : status;
  };
  const arrives = (name: Name, header: string, value: string | undefined) =>
    eventually(
      `${name} with ${header}`,
      () => call(name),
      (got) => typeof got === 'object' && got[header] === value,
      told,
    );
  const refused = (name: Name) =>
    eventually(
      `no ${name}`,
      () => call(name),
      (got) => got === 403,
      told,
    );

  it('come by HTTP and from registries, checked by their sums', async () => {
    proves('WasmPlugin.spec.url', 'WasmPlugin.spec.sha256');
    for (const name of ['file', 'sum', 'image', 'imageSum'] as const) await arrives(name, 'x-wasm', 'yes');
    for (const name of ['wrongSum', 'wrongImage'] as const) await refused(name);
    assert.match(agent.output(), /has the checksum/);
  });

  it('are for who has the registry’s credentials', async () => {
    proves('WasmPlugin.spec.imagePullSecret');
    await refused('anonymous');
    assert.match(agent.output(), /wants credentials: name an imagePullSecret/);
    assert.ok(!registry.pulls.some((path) => path.endsWith('/v2')));
  });

  it('never come from the machine itself or its metadata service, unless the operator names the host', async () => {
    await refused('named');
    await arrives('metadata', 'x-wasm', undefined);
    assert.deepEqual(asked, []);
    assert.match(agent.output(), /169\.254\.169\.254.*nothing is fetched from this address/);
  });

  it('are fetched again when the plugin changes, or kept', async () => {
    proves('WasmPlugin.spec.imagePullPolicy');
    // What cannot be fetched is tried again and again, which costs time here.
    for (const name of ['wrongSum', 'wrongImage', 'anonymous', 'named', 'metadata'] as const)
      controlPlane.sources.delete(plugin(name, { url: '' }));
    for (const name of ['kept', 'always'] as const) await arrives(name, 'x-version', '1');
    registry.put('team/moving:v1', headerModule('x-version', '2'));
    const moving = {
      url: `oci://${registry.host}/team/moving:v1`,
      imagePullSecret: 'registry',
      pluginConfig: { changed: true },
    };
    controlPlane.set(plugin('kept', { ...moving, imagePullPolicy: 'IfNotPresent' }));
    controlPlane.set(plugin('always', { ...moving, imagePullPolicy: 'Always' }));
    await arrives('always', 'x-version', '2');
    await eventually(
      'the new configuration',
      () => httpGet({ port: agent.ports.admin, host: 'localhost', path: '/config_dump' }),
      ({ body }) => (body.match(/changed/g) ?? []).length >= 2,
      told,
    );
    await arrives('kept', 'x-version', '1');
  });
});
