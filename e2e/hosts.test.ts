import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { proves } from '../packages/xds/src/field-proof.ts';
import { echo, istio, manifest, service, workload } from './scenarios/traffic/world.ts';
import { certificateFor, secret } from './support/certificates.ts';
import { type Cluster, obstacle, startCluster } from './support/cluster.ts';
import { type MeshClient, meshClient } from './support/mesh-client.ts';
import { eventually, until } from './support/shell.ts';

const reason = obstacle();
const program = (name: string) => readFileSync(join(import.meta.dirname, 'programs', name), 'utf8');

/** How a pod's agent is told to answer DNS. */
const dnsCapture = {
  'proxy.istio.io/config': JSON.stringify({ proxyMetadata: { ISTIO_META_DNS_CAPTURE: 'true' } }),
};

const programs = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'programs' },
  data: { 'origin.ts': program('origin.ts'), 'client.ts': program('client.ts') },
};

describe('hosts of the mesh, as applications find them', { skip: reason ?? false }, () => {
  let cluster: Cluster;
  let client: MeshClient;
  /** A client whose DNS goes to the cluster's server as it is. */
  let plain: MeshClient;
  /** Address of the origin outside of the mesh. */
  let outside = '';

  const apply = (...objects: readonly object[]) => cluster.apply(manifest(objects), 'hosts');

  before(async () => {
    cluster = await startCluster();
    await cluster.istioctl('install', '--set', 'profile=minimal', '-y');
    await cluster.kubectl('create', 'ns', 'hosts');
    await cluster.kubectl('label', 'ns', 'hosts', 'istio-injection=enabled');
    await cluster.kubectl('create', 'ns', 'outside');
    const pair = certificateFor('secure.example.test');
    await cluster.apply(
      manifest([
        programs,
        secret('origin-tls', { 'tls.crt': pair.certificate, 'tls.key': pair.key }, 'kubernetes.io/tls'),
        ...workload({ name: 'origin', app: 'origin', version: 'outside', program: 'origin', tls: true }),
        service('external'),
      ]),
      'outside',
    );
    const [account, deployment] = workload({ name: 'db', app: 'db', program: 'origin' }) as readonly [
      object,
      { readonly spec: object },
    ];
    await apply(
      programs,
      ...workload({ name: 'origin', app: 'origin', program: 'origin' }),
      ...workload({ name: 'client', app: 'client', program: 'client', annotations: dnsCapture }),
      ...workload({ name: 'plain', app: 'plain', program: 'client' }),
      service('origin'),
      account,
      { ...deployment, kind: 'StatefulSet', spec: { ...deployment.spec, serviceName: 'db', replicas: 2 } },
      service('db', { app: 'db' }, { clusterIP: 'None' }),
    );
    await cluster.podsReady('hosts');
    await cluster.podsReady('outside');
    client = await meshClient(cluster, 'hosts', 'deploy/client');
    plain = await meshClient(cluster, 'hosts', 'deploy/plain');
    outside = (
      await cluster.kubectl(
        'get',
        'pod',
        '-n',
        'outside',
        '-l',
        'app=origin',
        '-o',
        'jsonpath={.items[0].status.podIP}',
      )
    ).trim();
  });
  after(async () => {
    client?.close();
    plain?.close();
    await cluster?.down();
  });

  /** What the resolver library of the client's pod says, as `getent hosts` does; '' where it finds nothing. */
  const getent = async (name: string, database = 'ahostsv4', pod = 'client'): Promise<string> =>
    (
      await cluster.tryKubectl('exec', '-n', 'hosts', `deploy/${pod}`, '-c', 'client', '--', 'getent', database, name)
    ).stdout.trim();
  const resolves = (name: string, to: RegExp) =>
    until(`${name} to resolve to ${to}`, async () => {
      const found = await getent(name);
      if (!to.test(found)) throw new Error(found || 'nothing');
      return found;
    });
  const versionAt = (url: string, from: MeshClient = client) =>
    until(`an answer of ${url}`, async () => {
      const seen = await from.call({ url });
      if (seen.status !== 200) throw new Error(`${seen.status} ${seen.error ?? seen.text}`);
      return echo(seen);
    });
  const greet = (host: string, port: number) =>
    until(`an answer of ${host}:${port}`, async () => {
      const said = await client.run(
        ({ net }, at) =>
          new Promise<string>((resolve) => {
            let text = '';
            const socket = net.connect(at.port, at.host, () => socket.write('hello'));
            socket.setTimeout(5000, () => socket.destroy());
            socket.on('data', (chunk) => {
              text += chunk.toString();
              socket.end();
            });
            socket.on('error', (error) => resolve(`error: ${error.message}`));
            socket.on('close', () => resolve(text));
          }),
        { host, port },
      );
      if (!said.endsWith('hello')) throw new Error(said);
      return said;
    });

  test('names of services, in every form, come from the agent', async () => {
    const address = (
      await cluster.kubectl('get', 'svc', '-n', 'hosts', 'origin', '-o', 'jsonpath={.spec.clusterIP}')
    ).trim();
    for (const name of ['origin', 'origin.hosts', 'origin.hosts.svc', 'origin.hosts.svc.cluster.local'])
      await resolves(name, new RegExp(`^${address.replaceAll('.', '\\.')} `));
    assert.match((await versionAt('http://origin:8080/')).version, /^v1$/);
    // What the mesh does not know is asked of the cluster's server.
    assert.equal(await getent('nowhere.example.test'), '');
    const metrics = await client.call('http://127.0.0.1:15020/metrics');
    assert.match(metrics.text, /\nistio_agent_dns_requests_total [1-9]/);
    assert.match(metrics.text, /\nistio_agent_dns_upstream_requests_total [1-9]/);
    const memory = Number(/\nistio_agent_process_resident_memory_bytes (\d+)/.exec(metrics.text)?.[1]);
    assert.ok(memory < 80e6, `${memory} bytes`);
    const other = await plain.call('http://127.0.0.1:15020/metrics');
    assert.doesNotMatch(other.text, /istio_agent_dns/);
    assert.equal((await versionAt('http://origin:8080/', plain)).version, 'v1');
  });

  test('a TCP service outside, without addresses, is reached by its name', async () => {
    proves(
      'ServiceEntry.spec.hosts[]',
      'ServiceEntry.spec.ports[].targetPort',
      'ServiceEntry.spec.endpoints[].address',
    );
    await apply(
      istio('ServiceEntry', 'tcp-one', {
        hosts: ['one.example.test'],
        ports: [{ number: 7001, name: 'tcp', protocol: 'TCP', targetPort: 9000 }],
        resolution: 'STATIC',
        endpoints: [{ address: outside }],
      }),
      // The same port: only the addresses tell the two apart.
      istio('ServiceEntry', 'tcp-two', {
        hosts: ['two.example.test'],
        ports: [{ number: 7001, name: 'tcp', protocol: 'TCP', targetPort: 9000 }],
        location: 'MESH_INTERNAL',
        resolution: 'STATIC',
        workloadSelector: { labels: { app: 'origin' } },
      }),
    );
    const one = await resolves('one.example.test', /^240\.240\.\d+\.\d+ /);
    const two = await resolves('two.example.test', /^240\.240\.\d+\.\d+ /);
    assert.notEqual(one, two);
    assert.match(await greet('one.example.test', 7001), /^outside /);
    assert.match(await greet('two.example.test', 7001), /^v1 /);
    assert.match(await getent('one.example.test', 'ahostsv6'), /^2001:2:/);
    await eventually('the addresses in the status', async () => {
      const path = 'jsonpath={.status.addresses[*].host}';
      const status = await cluster.kubectl('get', 'serviceentry', '-n', 'hosts', 'tcp-one', '-o', path);
      assert.equal(status.trim(), 'one.example.test one.example.test');
    });
    // Without DNS capture nobody learns of the address.
    assert.equal(await getent('one.example.test', 'ahostsv4', 'plain'), '');
  });

  test('WorkloadEntries are endpoints of the ServiceEntry that selects them', async () => {
    proves(
      'ServiceEntry.spec.workloadSelector.labels[]',
      'WorkloadEntry.spec.address',
      'WorkloadEntry.spec.labels[]',
      'WorkloadEntry.spec.ports[]',
    );
    await apply(
      istio('WorkloadEntry', 'machine', { address: outside, labels: { app: 'machine' }, ports: { http: 8080 } }),
      istio('ServiceEntry', 'machines', {
        hosts: ['machines.example.test'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        location: 'MESH_INTERNAL',
        resolution: 'STATIC',
        workloadSelector: { labels: { app: 'machine' } },
      }),
    );
    await resolves('machines.example.test', /^240\.240\./);
    assert.equal((await versionAt('http://machines.example.test/')).version, 'outside');
  });

  test('a service whose endpoint is a name, and one that is that name', async () => {
    proves('ServiceEntry.spec.resolution', 'ServiceEntry.spec.location');
    await apply(
      istio('ServiceEntry', 'named', {
        hosts: ['named.example.test'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        resolution: 'DNS',
        endpoints: [{ address: 'external.outside.svc.cluster.local', ports: { http: 8080 } }],
      }),
      istio('ServiceEntry', 'round-robin', {
        hosts: ['round.example.test'],
        ports: [{ number: 7002, name: 'tcp', protocol: 'TCP' }],
        resolution: 'DNS_ROUND_ROBIN',
        endpoints: [{ address: 'external.outside.svc.cluster.local', ports: { tcp: 9000 } }],
      }),
    );
    await resolves('named.example.test', /^240\.240\./);
    assert.equal((await versionAt('http://named.example.test/')).version, 'outside');
    await resolves('round.example.test', /^240\.240\./);
    assert.match(await greet('round.example.test', 7002), /^outside /);
  });

  test('a wildcard host with an address', async () => {
    proves('ServiceEntry.spec.addresses[]');
    await apply(
      istio('ServiceEntry', 'wild', {
        hosts: ['*.wild.example.test'],
        addresses: ['240.7.7.7'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8080 }],
        resolution: 'STATIC',
        endpoints: [{ address: outside }],
      }),
    );
    await resolves('any.thing.wild.example.test', /^240\.7\.7\.7 /);
    const seen = await versionAt('http://any.thing.wild.example.test/');
    assert.deepEqual([seen.version, seen.headers.host], ['outside', 'any.thing.wild.example.test']);
  });

  test('a wildcard whose hosts are resolved when a request or a handshake comes', async () => {
    proves('ServiceEntry.spec.resolution');
    await cluster.apply(
      // In DNS, but not in the mesh.
      manifest([
        { ...service('hidden'), metadata: { name: 'hidden', annotations: { 'networking.istio.io/exportTo': '~' } } },
      ]),
      'outside',
    );
    await apply(
      istio('ServiceEntry', 'dynamic', {
        hosts: ['*.outside.svc.cluster.local'],
        ports: [
          { number: 8080, name: 'http', protocol: 'HTTP' },
          { number: 8443, name: 'tls', protocol: 'TLS' },
        ],
        resolution: 'DYNAMIC_DNS',
      }),
      istio('Sidecar', 'client-only', {
        workloadSelector: { labels: { app: 'client' } },
        outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
      }),
    );
    const host = 'hidden.outside.svc.cluster.local';
    const seen = await until('an answer of the hidden host', async () => {
      // The address is nobody's: the proxy goes by the name.
      const answer = await client.call({ url: `http://${host}:8080/`, connectTo: '240.9.9.9' });
      if (answer.status !== 200) throw new Error(`${answer.status} ${answer.error ?? answer.text}`);
      return echo(answer);
    });
    assert.equal(seen.version, 'outside');
    const subject = () =>
      client.run(
        ({ tls }, servername) =>
          new Promise<string>((resolve) => {
            const socket = tls.connect({ host: '240.9.9.9', port: 8443, servername, rejectUnauthorized: false }, () => {
              resolve(`${socket.getPeerCertificate().subject.CN}`);
              socket.destroy();
            });
            socket.setTimeout(5000, () => socket.destroy(new Error('timed out')));
            socket.on('error', (error) => resolve(error.message));
          }),
        host,
      );
    // The port with TLS has a listener of its own.
    await eventually('a handshake with the hidden host', async () =>
      assert.equal(await subject(), 'secure.example.test'),
    );
    await cluster.kubectl(
      'delete',
      'sidecar,serviceentry',
      '-n',
      'hosts',
      'client-only',
      'dynamic',
      '--ignore-not-found',
    );
  });

  test('the pods of a StatefulSet by their names', async () => {
    for (const pod of ['db-0', 'db-1']) {
      const address = (
        await cluster.kubectl('get', 'pod', '-n', 'hosts', pod, '-o', 'jsonpath={.status.podIP}')
      ).trim();
      await resolves(`${pod}.db`, new RegExp(`^${address.replaceAll('.', '\\.')} `));
      assert.equal((await versionAt(`http://${pod}.db:8080/`)).pod, pod);
      assert.match(await greet(`${pod}.db.hosts.svc.cluster.local`, 9000), new RegExp(` ${pod} hello$`));
    }
    await eventually('both pods by the name of their service', async () =>
      assert.equal(new Set((await getent('db')).split('\n').map((line) => line.split(' ')[0])).size, 2),
    );
  });

  test('an ExternalName is another name for what it names', async () => {
    await apply(
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'elsewhere' },
        spec: {
          type: 'ExternalName',
          externalName: 'external.outside.svc.cluster.local',
          ports: [{ name: 'http', port: 8080 }],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'abroad' },
        spec: { type: 'ExternalName', externalName: 'one.example.test', ports: [{ name: 'tcp', port: 7001 }] },
      },
    );
    assert.equal((await versionAt('http://elsewhere:8080/')).version, 'outside');
    await resolves('abroad', /^240\.240\./);
    assert.match(await greet('abroad', 7001), /^outside /);
  });

  test('a workload registers itself with its group, and is left out while its probe fails', async () => {
    proves(
      'WorkloadGroup.spec.metadata.labels[]',
      'WorkloadGroup.spec.template',
      'WorkloadGroup.spec.probe.httpGet.port',
    );
    await apply(
      istio('WorkloadGroup', 'machines', {
        metadata: { labels: { kind: 'self-made' } },
        template: { serviceAccount: 'member', ports: { http: 8080 } },
        probe: { periodSeconds: 1, httpGet: { path: '/health', port: 8080 } },
      }),
      istio('ServiceEntry', 'members', {
        hosts: ['members.example.test'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        location: 'MESH_INTERNAL',
        resolution: 'STATIC',
        workloadSelector: { labels: { kind: 'self-made' } },
      }),
      ...workload({
        name: 'member',
        app: 'member',
        program: 'origin',
        annotations: {
          'proxy.istio.io/config': JSON.stringify({
            proxyMetadata: { ISTIO_META_AUTO_REGISTER_GROUP: 'machines' },
            readinessProbe: { periodSeconds: 1, failureThreshold: 1, httpGet: { path: '/health', port: 8080 } },
          }),
        },
      }),
    );
    await cluster.podsReady('hosts', 'app=member');
    const health = () =>
      cluster.kubectl(
        'get',
        'workloadentry',
        '-n',
        'hosts',
        '-l',
        'kind=self-made',
        '-o',
        'jsonpath={.items[*].status.conditions[?(@.type=="Healthy")].status}',
      );
    await until('a healthy WorkloadEntry', async () => ((await health()).trim() === 'True' ? true : undefined));
    assert.equal((await versionAt('http://members.example.test/')).version, 'v1');
    // The proxy still runs, but the application is not what it was.
    assert.equal((await client.call('http://members.example.test/health?set=503')).status, 200);
    await until('an unhealthy WorkloadEntry', async () => ((await health()).trim() === 'False' ? true : undefined));
    await until('no endpoint', async () =>
      (await client.call('http://members.example.test/')).status === 503 ? true : undefined,
    );
    await cluster.kubectl('delete', 'deploy', '-n', 'hosts', 'member');
    await until('the entry to go', async () =>
      (await cluster.kubectl('get', 'workloadentry', '-n', 'hosts', '-l', 'kind=self-made', '-o', 'name')).trim() === ''
        ? true
        : undefined,
    );
  });
});
