import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { echo, istio, manifest, service, startWorld, type World } from './scenarios/traffic/world.ts';
import { certificateFor, secret } from './support/certificates.ts';
import { type Cluster, obstacle, startCluster } from './support/cluster.ts';
import { http } from './support/http.ts';
import { eventually, until } from './support/shell.ts';
import { https, type TlsAnswer } from './support/tls.ts';

const fingerprint = (certificate: string) => new X509Certificate(certificate).fingerprint256;
const tls = (certificate: { readonly certificate: string; readonly key: string }) => ({
  'tls.crt': certificate.certificate,
  'tls.key': certificate.key,
});

describe('gateways', { skip: obstacle() ?? false }, () => {
  let cluster: Cluster;
  let world: World;
  let ingress: string;
  const files = certificateFor('files.example.test');
  before(async () => {
    cluster = await startCluster();
    // The gateway mounts it, as the manifests of the tutorials ask for.
    await cluster.kubectl('create', 'ns', 'istio-system');
    await cluster.apply(
      manifest([secret('istio-ingressgateway-certs', tls(files), 'kubernetes.io/tls')]),
      'istio-system',
    );
    world = await startWorld(cluster);
    ingress = await cluster.loadBalancer('istio-system', 'istio-ingressgateway');
  });
  after(async () => {
    world?.close();
    await cluster?.down();
  });

  const apply = (...objects: readonly object[]) => cluster.apply(manifest(objects), 'traffic');
  const system = (...objects: readonly object[]) => cluster.apply(manifest(objects), 'istio-system');
  const answered = (what: string, ask: () => Promise<{ readonly status: number; readonly body: string }>) =>
    until(what, async () => {
      const answer = await ask();
      if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body}`);
      return answer;
    });
  const secure = (host: string) =>
    until(`HTTPS for ${host}`, async (): Promise<TlsAnswer> => {
      const answer = await https(ingress, 443, host);
      if (answer.status !== 200) throw new Error(`status ${answer.status}: ${answer.body}`);
      return answer;
    });
  const condition = (name: string) =>
    cluster.kubectl(
      ...['get', 'gateways.networking.istio.io', name, '-n', 'traffic'],
      ...['-o', 'jsonpath={.status.conditions[?(@.type=="Conflicted")].message}'],
    );

  test('a Kubernetes Ingress: routes, its certificate, and where it is reached', async () => {
    proves('MeshConfig.ingressClass', 'MeshConfig.ingressService');
    const shown = certificateFor('ingress.example.test');
    await system(secret('ingress-cert', tls(shown), 'kubernetes.io/tls'));
    const backend = (name: string) => ({ service: { name, port: { name: 'http' } } });
    await apply(
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'IngressClass',
        metadata: { name: 'istio' },
        spec: { controller: 'istio.io/ingress-controller' },
      },
      {
        apiVersion: 'networking.k8s.io/v1',
        kind: 'Ingress',
        metadata: { name: 'shop' },
        spec: {
          ingressClassName: 'istio',
          tls: [{ hosts: ['ingress.example.test'], secretName: 'ingress-cert' }],
          rules: [
            {
              host: 'ingress.example.test',
              http: { paths: [{ path: '/shop', pathType: 'Prefix', backend: backend('origin') }] },
            },
          ],
        },
      },
    );
    const plain = (path: string) => http(`http://${ingress}${path}`, { headers: { host: 'ingress.example.test' } });
    await answered('the Ingress by HTTP', () => plain('/shop/cart'));
    assert.equal((await plain('/shopping')).status, 404);
    await eventually('the Ingress by HTTPS', async () => {
      const answer = await https(ingress, 443, 'ingress.example.test', { path: '/shop' });
      assert.deepEqual([answer.status, answer.fingerprint], [200, fingerprint(shown.certificate)]);
    });
    const address = await until('the status of the Ingress', async () => {
      const text = await cluster.kubectl(
        'get',
        'ingress',
        'shop',
        '-n',
        'traffic',
        '-o',
        'jsonpath={.status.loadBalancer.ingress[0].ip}',
      );
      return text || undefined;
    });
    assert.equal(address, ingress);
    assert.match(await cluster.kubectl('get', 'lease', 'istio-leader', '-n', 'istio-system'), /istiod-/);
    await cluster.kubectl('delete', 'ingress', 'shop', '-n', 'traffic');
    // Nobody else has this port, so that the gateway does not listen there any more (or knows no such route, for a moment).
    await until('the Ingress to be gone', async () =>
      [0, 404].includes((await plain('/shop')).status) ? true : undefined,
    );
  });

  test('certificates change under load and no request is lost; those in files too', async () => {
    proves(
      'Gateway.spec.servers[].tls.credentialName',
      'Gateway.spec.servers[].tls.serverCertificate',
      'Gateway.spec.servers[].tls.privateKey',
    );
    const first = certificateFor('rotated.example.test');
    await system(secret('rotated', tls(first), 'kubernetes.io/tls'));
    const server = (host: string, settings: object) => ({
      port: { number: 443, name: `https-${host}`, protocol: 'HTTPS' },
      hosts: [`${host}.example.test`],
      tls: { mode: 'SIMPLE', ...settings },
    });
    const mounted = '/etc/istio/ingressgateway-certs';
    await apply(
      istio('Gateway', 'rotating', {
        selector: { istio: 'ingressgateway' },
        servers: [
          server('rotated', { credentialName: 'rotated' }),
          server('files', { serverCertificate: `${mounted}/tls.crt`, privateKey: `${mounted}/tls.key` }),
          server('nowhere', { serverCertificate: `${mounted}/none.crt`, privateKey: `${mounted}/none.key` }),
          server('missing', { credentialName: 'nobody-made-it' }),
        ],
      }),
      istio('VirtualService', 'rotating', {
        hosts: ['rotated.example.test', 'files.example.test', 'nowhere.example.test', 'missing.example.test'],
        gateways: ['rotating'],
        http: [{ route: [{ destination: { host: 'origin', port: { number: 8080 } } }] }],
      }),
    );
    assert.equal((await secure('rotated.example.test')).fingerprint, fingerprint(first.certificate));
    assert.equal((await secure('files.example.test')).fingerprint, fingerprint(files.certificate));
    for (const host of ['nowhere.example.test', 'missing.example.test'])
      await assert.rejects(https(ingress, 443, host));

    let running = true;
    let requests = 0;
    const failures: string[] = [];
    const load = Array.from({ length: 2 }, async () => {
      while (running) {
        const seen = await https(ingress, 443, 'rotated.example.test').catch((error: Error) => ({
          status: 0,
          body: error.message,
        }));
        requests++;
        if (seen.status !== 200) failures.push(`${seen.status} ${seen.body}`);
      }
    });
    let shown = '';
    for (let i = 0; i < 3; i++) {
      const next = certificateFor('rotated.example.test');
      shown = fingerprint(next.certificate);
      await system(secret('rotated', tls(next), 'kubernetes.io/tls'));
      await until('the new certificate', async () =>
        (await https(ingress, 443, 'rotated.example.test')).fingerprint === shown ? true : undefined,
      );
    }
    // Without its Secret a server keeps what it has.
    await cluster.kubectl('delete', 'secret', 'rotated', '-n', 'istio-system');
    assert.equal((await secure('rotated.example.test')).fingerprint, shown);
    await until('more than a few requests', async () => (requests > 10 ? true : undefined));
    running = false;
    await Promise.all(load);
    assert.deepEqual(failures, []);

    const renewed = certificateFor('files.example.test');
    await system(secret('istio-ingressgateway-certs', tls(renewed), 'kubernetes.io/tls'));
    await until('the new files', async () =>
      (await https(ingress, 443, 'files.example.test')).fingerprint === fingerprint(renewed.certificate)
        ? true
        : undefined,
    );
  });

  test('the oldest Gateway wins, and the younger one says so in its status', async () => {
    proves('Gateway.spec.servers[].port.protocol', 'Gateway.spec.servers[].hosts[]');
    const gateway = (name: string, protocol: string) =>
      istio('Gateway', name, {
        selector: { istio: 'ingressgateway' },
        servers: [{ port: { number: 31400, name: 'port', protocol }, hosts: ['*'] }],
      });
    await apply(gateway('port-old', 'HTTP'));
    await apply(
      istio('VirtualService', 'port', {
        hosts: ['*'],
        gateways: ['port-old', 'port-young'],
        http: [{ directResponse: { status: 200, body: { string: 'the old one' } } }],
        tcp: [{ match: [{ port: 31400 }], route: [{ destination: { host: 'origin', port: { number: 9000 } } }] }],
      }),
    );
    const ask = () => http(`http://${ingress}:31400/`);
    assert.equal((await answered('the old Gateway', ask)).body, 'the old one');
    await until('another second, by which the next Gateway is younger', async () =>
      Date.parse(
        (
          await cluster.kubectl(
            'get',
            'gateways.networking.istio.io',
            'port-old',
            '-n',
            'traffic',
            '-o',
            'jsonpath={.metadata.creationTimestamp}',
          )
        ).trim(),
      ) <
      Date.now() - 1000
        ? true
        : undefined,
    );
    await apply(gateway('port-young', 'TCP'));
    const message = await until('the status', async () => (await condition('port-young')) || undefined);
    assert.match(
      message,
      /spec\.servers\[0\]\.port: port 31400 is not served as plain TCP: the older Gateway traffic\/port-old/,
    );
    assert.equal(await condition('port-old'), '');
    await eventually('the metric', async () =>
      assert.match(
        await cluster.kubectl(
          ...['exec', '-n', 'istio-system', 'deploy/istiod', '--', 'curl', '-s', 'localhost:15014/metrics'],
        ),
        /^pilot_conflict_inbound_listener 1$/m,
      ),
    );
    assert.equal((await ask()).body, 'the old one');
    await cluster.kubectl('delete', 'gateways.networking.istio.io', 'port-old', '-n', 'traffic');
    await until('the young Gateway to have the port', async () =>
      (await condition('port-young')).startsWith('every server') ? true : undefined,
    );
  });

  test('a gateway of another team: any labels, its own namespace', async () => {
    proves('Gateway.spec.selector[]', 'Gateway.spec.servers[].port.number');
    const labels = { team: 'edge', 'sidecar.istio.io/inject': 'true' };
    await apply(
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'edge' },
        spec: {
          selector: { matchLabels: { team: 'edge' } },
          template: {
            metadata: { labels, annotations: { 'inject.istio.io/templates': 'gateway' } },
            spec: {
              containers: [{ name: 'istio-proxy', image: 'auto', ports: [{ containerPort: 8088, name: 'web' }] }],
            },
          },
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'edge' },
        spec: { selector: { team: 'edge' }, ports: [{ name: 'http', port: 80, targetPort: 'web' }] },
      },
      istio('Gateway', 'edge', {
        selector: { team: 'edge' },
        servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['./edge.example.test'] }],
      }),
      istio('VirtualService', 'edge', {
        hosts: ['edge.example.test'],
        gateways: ['edge'],
        http: [{ route: [{ destination: { host: 'origin', port: { number: 8080 } } }] }],
      }),
    );
    const seen = await until('the gateway', async () => {
      const answer = await world.stranger.call({
        url: 'http://edge.traffic.svc.cluster.local/',
        headers: { host: 'edge.example.test' },
      });
      return answer.status === 200 ? answer : undefined;
    });
    assert.match(echo(seen).version, /^v[12]$/);
    assert.notEqual((await http(`http://${ingress}/`, { headers: { host: 'edge.example.test' } })).status, 200);
  });

  test('mutual TLS of the mesh from the sidecar to the egress gateway', async () => {
    proves(
      'Gateway.spec.servers[].tls.mode',
      'DestinationRule.spec.trafficPolicy.tls.mode',
      'DestinationRule.spec.trafficPolicy.tls.sni',
    );
    const address = await world.address('outside', 'origin');
    const egress = 'istio-egressgateway.istio-system.svc.cluster.local';
    await apply(
      istio('ServiceEntry', 'abroad', {
        hosts: ['abroad.example.test'],
        addresses: ['240.3.3.3'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
        location: 'MESH_EXTERNAL',
        resolution: 'STATIC',
        endpoints: [{ address }],
      }),
      istio('Gateway', 'abroad', {
        selector: { istio: 'egressgateway' },
        servers: [
          {
            port: { number: 443, name: 'https-abroad', protocol: 'HTTPS' },
            hosts: ['abroad.example.test'],
            tls: { mode: 'ISTIO_MUTUAL' },
          },
        ],
      }),
      istio('DestinationRule', 'abroad', {
        host: egress,
        subsets: [
          {
            name: 'abroad',
            trafficPolicy: {
              portLevelSettings: [{ port: { number: 443 }, tls: { mode: 'ISTIO_MUTUAL', sni: 'abroad.example.test' } }],
            },
          },
        ],
      }),
      istio('VirtualService', 'abroad', {
        hosts: ['abroad.example.test'],
        gateways: ['mesh', 'abroad'],
        http: [
          {
            match: [{ gateways: ['mesh'], port: 80 }],
            route: [{ destination: { host: egress, subset: 'abroad', port: { number: 443 } } }],
          },
          {
            match: [{ gateways: ['abroad'], port: 443 }],
            headers: { request: { set: { 'x-left-by': 'egress' } } },
            route: [{ destination: { host: 'abroad.example.test', port: { number: 80 } } }],
          },
        ],
      }),
    );
    const seen = await until('the way through the egress gateway', async () => {
      const answer = await world.client.call({ url: 'http://abroad.example.test/', connectTo: '240.3.3.3' });
      return answer.status === 200 && echo(answer).headers['x-left-by'] ? echo(answer) : undefined;
    });
    assert.match(
      seen.headers['x-forwarded-client-cert'] ?? '',
      /URI=spiffe:\/\/cluster\.local\/ns\/traffic\/sa\/client/,
    );
    const stranger = await world.stranger.run(
      ({ tls: module }, host) =>
        new Promise<string>((resolve) => {
          const socket = module.connect(
            { host, port: 443, servername: 'abroad.example.test', rejectUnauthorized: false },
            () => socket.write('GET / HTTP/1.1\r\nhost: abroad.example.test\r\n\r\n'),
          );
          socket.on('data', () => resolve('answered'));
          socket.on('error', () => resolve('refused'));
          socket.on('close', () => resolve('refused'));
        }),
      egress,
    );
    assert.equal(stranger, 'refused');
  });

  test('all hosts of a domain leave by the egress gateway, TLS as it is', async () => {
    proves(
      'VirtualService.spec.tls[].match[].sniHosts[]',
      'VirtualService.spec.tls[].match[].gateways[]',
      'Gateway.spec.servers[].tls.mode',
    );
    const egress = 'istio-egressgateway.istio-system.svc.cluster.local';
    await apply(
      service('wild-egress'),
      istio('ServiceEntry', 'wild', {
        hosts: ['*.wild.example.test'],
        addresses: ['240.4.4.4'],
        ports: [{ number: 443, name: 'tls', protocol: 'TLS' }],
        location: 'MESH_EXTERNAL',
        resolution: 'NONE',
      }),
      istio('Gateway', 'wild', {
        selector: { istio: 'egressgateway' },
        servers: [
          {
            port: { number: 443, name: 'tls-wild', protocol: 'TLS' },
            hosts: ['*.wild.example.test'],
            tls: { mode: 'PASSTHROUGH' },
          },
        ],
      }),
      istio('VirtualService', 'wild', {
        hosts: ['*.wild.example.test'],
        gateways: ['mesh', 'wild'],
        tls: [
          {
            match: [{ gateways: ['mesh'], port: 443, sniHosts: ['*.wild.example.test'] }],
            route: [{ destination: { host: egress, port: { number: 443 } } }],
          },
          {
            match: [{ gateways: ['wild'], port: 443, sniHosts: ['*.wild.example.test'] }],
            route: [{ destination: { host: 'external.outside.svc.cluster.local', port: { number: 8443 } } }],
          },
        ],
      }),
    );
    const through = (name: string) =>
      world.client.run(
        ({ tls: module }, servername) =>
          new Promise<string>((resolve) => {
            const socket = module.connect(
              { host: '240.4.4.4', port: 443, servername, rejectUnauthorized: false },
              () => {
                resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? '');
                socket.destroy();
              },
            );
            socket.on('error', (error: Error) => resolve(error.message));
            socket.on('close', () => resolve('no answer'));
            socket.setTimeout(5000, () => socket.destroy());
          }),
        name,
      );
    for (const name of ['a.wild.example.test', 'b.wild.example.test'])
      await until(`TLS to ${name}`, async () =>
        (await through(name)) === fingerprint(world.outsideTls.certificate) ? true : undefined,
      );
  });
});
