// istiod on Kubernetes' own API server: what it refuses, allows and sends differs from any imitation of it. Runs where its binaries are.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { istioTypes } from '@istio-ts/api/resource-types';
import { GOOD_SPECS } from '@istio-ts/api/test-specs';
import { AGAINST_RULES, AGAINST_SCHEMA, object, type Spec } from './real-kubernetes/objects.ts';
import { type AdsClient, openAds } from './support/ads-client.ts';
import { localOnly } from './support/cluster.ts';
import { builtIstiod, type IstiodProcess, startIstiod } from './support/istiod-process.ts';
import { obstacleToRealApiServer, type RealApiServer, startRealApiServer } from './support/real-api-server.ts';
import { type Output, run, until } from './support/shell.ts';

const istioctl = join(import.meta.dirname, '..', 'bin', 'istioctl');
const reason =
  obstacleToRealApiServer() ?? (existsSync(builtIstiod) ? undefined : 'the programs are not built: run npm run build');

describe('on an API server of Kubernetes', {
  skip: reason ?? localOnly('the test starts an API server of its own'),
  timeout: 900_000,
}, () => {
  const directory = mkdtempSync(join(tmpdir(), 'istio-ts-real-'));
  let server: RealApiServer | undefined;
  let istiod: IstiodProcess | undefined;
  const streams: AdsClient[] = [];
  /** What istiod had said before the API server ended: what follows is about that. */
  let saidBeforeRestart = '';

  const tryKubectl = (args: readonly string[], input?: string): Promise<Output> =>
    run('kubectl', args, {
      env: { ...process.env, KUBECONFIG: server?.kubeconfig },
      ...(input !== undefined && { input }),
    });
  const kubectl = async (args: readonly string[], input?: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await tryKubectl(args, input);
    if (exitCode !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const apply = (text: string): Promise<string> => kubectl(['apply', '-f', '-'], text);
  const json = async <T>(...args: readonly string[]): Promise<T> =>
    JSON.parse(await kubectl([...args, '-o', 'json'])) as T;
  const running = (): IstiodProcess => {
    if (!istiod) throw new Error('istiod did not start');
    return istiod;
  };

  before(async () => {
    server = await startRealApiServer(directory);
  });
  after(async () => {
    for (const stream of streams) stream.close();
    await istiod?.stop(1000);
    await server?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  test('the mesh is applied as it is generated, and every definition is established', async () => {
    const { stdout, stderr, exitCode } = await run(istioctl, ['manifest', 'generate', '--set', 'profile=minimal']);
    assert.equal(exitCode, 0, stderr);
    await kubectl(['create', 'namespace', 'istio-system']);
    await kubectl(['apply', '--server-side', '-f', '-'], stdout);
    await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=120s']);
    const { items } = await json<{
      items: readonly {
        metadata: { name: string };
        status: { conditions: readonly { type: string; status: string; message: string }[] };
      }[];
    }>('get', 'crd');
    assert.equal(items.length, Object.keys(istioTypes).length);
    for (const { metadata, status } of items)
      for (const { type, status: is, message } of status.conditions)
        assert.ok(type !== 'NonStructuralSchema' || is !== 'True', `${metadata.name}: ${message}`);
  });

  test('istiod starts with the rights of its service account', async () => {
    for (const name of ['shop', 'plain']) await kubectl(['create', 'namespace', name]);
    await kubectl(['label', 'namespace', 'shop', 'istio-injection=enabled']);
    // While no webhook answers, an object gets in that istiod will have to refuse; validation does not fail closed yet.
    await kubectl(['delete', 'validatingwebhookconfiguration', '--all']).then(() =>
      apply(object('DestinationRule', 'bad-from-before', { host: 'a', subsets: [{ name: 'v1' }, { name: 'v1' }] })),
    );
    const { stdout } = await run(istioctl, ['manifest', 'generate', '--set', 'profile=minimal']);
    await kubectl(['apply', '--server-side', '-f', '-'], stdout);
    const token = (await kubectl(['create', 'token', 'istiod', '-n', 'istio-system'])).trim();
    const kubeconfig = server?.kubeconfigFor('istiod', token) ?? '';
    istiod = await startIstiod({ kubeconfig, log: join(directory, 'istiod.log') });
    // The API server finds a webhook's Service by its name; this one leads to the process.
    await kubectl(['delete', 'service', 'istiod', '-n', 'istio-system']);
    await apply(
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'istiod', namespace: 'istio-system' },
        spec: { type: 'ExternalName', externalName: 'localhost' },
      }),
    );
    for (const kind of ['mutatingwebhookconfigurations', 'validatingwebhookconfigurations']) {
      const { items } = await json<{ items: readonly { metadata: { name: string }; webhooks: readonly unknown[] }[] }>(
        'get',
        kind,
      );
      assert.ok(items.length > 0);
      for (const { metadata, webhooks } of items) {
        const patch = webhooks.map((_, index) => ({
          op: 'add',
          path: `/webhooks/${index}/clientConfig/service/port`,
          value: running().ports.webhooks,
        }));
        await kubectl(['patch', kind, metadata.name, '--type=json', `--patch=${JSON.stringify(patch)}`]);
      }
    }
  });

  test('istiod gives the webhooks its CA, namespaces its root, and an object that it refuses a condition', async () => {
    interface Webhooks {
      readonly items: readonly {
        readonly webhooks: readonly {
          readonly clientConfig: { readonly caBundle?: string };
          readonly failurePolicy: string;
        }[];
      }[];
    }
    await until('the webhooks to have the CA', async () => {
      const { items } = await json<Webhooks>('get', 'mutatingwebhookconfigurations,validatingwebhookconfigurations');
      const all = items.flatMap(({ webhooks }) => webhooks);
      return (
        (all.length > 1 &&
          all.every(({ clientConfig, failurePolicy }) => clientConfig.caBundle && failurePolicy === 'Fail')) ||
        undefined
      );
    });
    for (const namespace of ['shop', 'plain'])
      await until(
        `the root in ${namespace}`,
        async () =>
          (
            await kubectl([
              'get',
              'configmap',
              'istio-ca-root-cert',
              '-n',
              namespace,
              '-o',
              'jsonpath={.data.root-cert\\.pem}',
            ])
          ).includes('BEGIN CERTIFICATE') || undefined,
      );
    const message = await until('the condition', async () => {
      const { status } = await json<{
        status?: { conditions?: readonly { type: string; status: string; message: string }[] };
      }>('get', 'destinationrule', 'bad-from-before', '-n', 'shop');
      return status?.conditions?.find(({ type, status: is }) => type === 'Accepted' && is === 'False')?.message;
    });
    assert.match(message, /spec\.subsets\[1\]\.name: "v1" is there twice/);
  });

  test('objects of every kind are stored; fields of the wrong type and broken rules are refused by name', async () => {
    const good = GOOD_SPECS.map(([kind, spec], index) => object(kind, `good-${index}`, spec, 'plain'));
    assert.deepEqual(
      [...new Set(GOOD_SPECS.map(([kind]) => kind))].sort(),
      Object.keys(istioTypes).sort(),
      'a sample of every kind',
    );
    await until('the webhook to be asked', async () => {
      const { stderr } = await tryKubectl(
        ['apply', '-f', '-'],
        object('VirtualService', 'probe', AGAINST_RULES[0]?.[1] ?? {}),
      );
      return stderr.includes('is invalid') || undefined;
    });
    await apply(good.join('\n'));
    await kubectl(['delete', '-f', '-'], good.join('\n'));
    const refused = async (kind: string, spec: Spec, pattern: RegExp, webhook: boolean) => {
      const { stderr, exitCode } = await tryKubectl(['create', '-f', '-'], object(kind, 'bad', spec));
      assert.equal(exitCode, 1, `${kind} ${JSON.stringify(spec)}`);
      assert.match(stderr, pattern);
      assert.equal(/admission webhook "rev\.validation\.istio\.io" denied the request/.test(stderr), webhook, stderr);
    };
    assert.deepEqual(Object.keys(AGAINST_SCHEMA).sort(), Object.keys(istioTypes).sort());
    await Promise.all(
      Object.entries(AGAINST_SCHEMA).map(([kind, [spec, pattern]]) => refused(kind, spec, pattern, false)),
    );
    for (const [kind, spec, pattern] of AGAINST_RULES) await refused(kind, spec, pattern, true);
  });

  test('a pod of the mesh gets its sidecar', async () => {
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'cart', labels: { app: 'cart' } },
      spec: {
        serviceAccountName: 'cart',
        containers: [{ name: 'cart', image: 'cart:v1', ports: [{ containerPort: 8080 }] }],
      },
    };
    for (const namespace of ['shop', 'plain']) {
      await kubectl(['create', 'serviceaccount', 'cart', '-n', namespace]);
      await kubectl(['create', '-n', namespace, '-f', '-'], JSON.stringify(pod));
    }
    interface Pod {
      readonly spec: {
        readonly containers: readonly { readonly name: string }[];
        readonly initContainers?: readonly { readonly name: string }[];
      };
    }
    const names = ({ spec }: Pod) =>
      [...(spec.initContainers ?? []), ...spec.containers].map(({ name }) => name).sort();
    assert.deepEqual(names(await json<Pod>('get', 'pod', 'cart', '-n', 'shop')), ['cart', 'istio-init', 'istio-proxy']);
    assert.deepEqual(names(await json<Pod>('get', 'pod', 'cart', '-n', 'plain')), ['cart']);
  });

  test('a proxy that proves who it is gets its configuration, and each change of it', async () => {
    await apply(
      [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'cart', namespace: 'shop' },
          spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
        },
        {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: { name: 'cart-1', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'cart' } },
          addressType: 'IPv4',
          ports: [{ name: 'http', port: 8080 }],
          endpoints: [
            {
              addresses: ['10.1.2.3'],
              conditions: { ready: true },
              targetRef: { kind: 'Pod', namespace: 'shop', name: 'cart' },
            },
          ],
        },
      ]
        .map((one) => JSON.stringify(one))
        .join('\n'),
    );
    await kubectl([
      'patch',
      'pod',
      'cart',
      '-n',
      'shop',
      '--subresource=status',
      '--patch',
      JSON.stringify({
        status: {
          phase: 'Running',
          podIP: '10.1.2.3',
          podIPs: [{ ip: '10.1.2.3' }],
          conditions: [{ type: 'Ready', status: 'True' }],
        },
      }),
    ]);
    const root = await kubectl([
      'get',
      'configmap',
      'istio-ca-root-cert',
      '-n',
      'shop',
      '-o',
      'jsonpath={.data.root-cert\\.pem}',
    ]);
    const connect = async (audience: string) => {
      const token = (
        await kubectl([
          'create',
          'token',
          'cart',
          '-n',
          'shop',
          '--audience',
          audience,
          '--bound-object-kind=Pod',
          '--bound-object-name=cart',
        ])
      ).trim();
      const stream = await openAds(
        {
          kind: 'tls',
          host: '127.0.0.1',
          port: running().ports.secureGrpc,
          serverName: 'istiod.istio-system.svc',
          tls: { ca: root },
        },
        {
          id: 'sidecar~10.1.2.3~cart.shop~shop.svc.cluster.local',
          metadata: {
            NAMESPACE: 'shop',
            SERVICE_ACCOUNT: 'cart',
            CLUSTER_ID: 'Kubernetes',
            INSTANCE_IPS: '10.1.2.3',
            LABELS: { app: 'cart' },
          },
        },
        { metadata: { authorization: `Bearer ${token}` } },
      );
      streams.push(stream);
      await stream.ask('cluster');
      return stream;
    };
    const stranger = await connect('somebody-else');
    const refusal = await until('the refusal', async () => {
      try {
        assert.equal(stranger.get('cluster').size, 0);
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    });
    assert.match(refusal, /UNAUTHENTICATED|PERMISSION_DENIED|audience|authenticat/i);

    const proxy = await connect('istio-ca');
    const name = 'outbound|80||cart.shop.svc.cluster.local';
    await until('the cluster of the service', async () => proxy.get('cluster').has(name) || undefined);
    await proxy.ask('endpoint', [name]);
    await proxy.ask('listener');
    await proxy.ask('route', ['80']);
    const has = (kind: 'endpoint' | 'route' | 'cluster', text: string, yes = true) =>
      until(
        `${text} ${yes ? 'in' : 'out of'} the ${kind}s`,
        async () => JSON.stringify([...proxy.get(kind).values()]).includes(text) === yes || undefined,
      );
    await has('endpoint', '10.1.2.3');
    await until('the inbound listener', async () => proxy.get('listener').has('virtualInbound') || undefined);

    await apply(
      object('VirtualService', 'cart', {
        hosts: ['cart'],
        http: [{ timeout: '7s', route: [{ destination: { host: 'cart' } }] }],
      }),
    );
    await has('route', '"timeout":"7s"');
    await apply(
      object('DestinationRule', 'cart', { host: 'cart', subsets: [{ name: 'blue', labels: { app: 'cart' } }] }),
    );
    await has('cluster', 'outbound|80|blue|cart.shop.svc.cluster.local');
    await kubectl(['delete', 'virtualservice', 'cart', '-n', 'shop']);
    await has('route', '"timeout":"7s"', false);

    // Watches go on where the server that they come from ends and another takes its place.
    saidBeforeRestart = running().output();
    await server?.restart();
    await apply(
      object('DestinationRule', 'cart', { host: 'cart', subsets: [{ name: 'green', labels: { app: 'cart' } }] }),
    );
    await has('cluster', 'outbound|80|green|cart.shop.svc.cluster.local');
    await has('cluster', 'outbound|80|blue|cart.shop.svc.cluster.local', false);
  });

  test('an Ingress is given the address of its gateway by the istiod that leads', async () => {
    await apply(
      [
        {
          apiVersion: 'v1',
          kind: 'Service',
          metadata: { name: 'istio-ingressgateway', namespace: 'istio-system' },
          spec: { type: 'LoadBalancer', ports: [{ port: 80 }] },
        },
        {
          apiVersion: 'networking.k8s.io/v1',
          kind: 'Ingress',
          metadata: { name: 'cart', namespace: 'shop' },
          spec: {
            ingressClassName: 'istio',
            rules: [
              {
                http: {
                  paths: [
                    { path: '/', pathType: 'Prefix', backend: { service: { name: 'cart', port: { number: 80 } } } },
                  ],
                },
              },
            ],
          },
        },
        {
          apiVersion: 'networking.k8s.io/v1',
          kind: 'IngressClass',
          metadata: { name: 'istio' },
          spec: { controller: 'istio.io/ingress-controller' },
        },
      ]
        .map((one) => JSON.stringify(one))
        .join('\n'),
    );
    await kubectl([
      'patch',
      'service',
      'istio-ingressgateway',
      '-n',
      'istio-system',
      '--subresource=status',
      '--type=merge',
      '--patch',
      JSON.stringify({ status: { loadBalancer: { ingress: [{ ip: '192.0.2.7' }] } } }),
    ]);
    await until(
      'the address',
      async () =>
        (await kubectl([
          'get',
          'ingress',
          'cart',
          '-n',
          'shop',
          '-o',
          'jsonpath={.status.loadBalancer.ingress[0].ip}',
        ])) === '192.0.2.7' || undefined,
    );
    const { items } = await json<{ items: readonly { spec: { holderIdentity: string } }[] }>(
      'get',
      'lease',
      '-n',
      'istio-system',
    );
    assert.ok(items.length > 0);
    for (const { spec } of items) assert.equal(spec.holderIdentity, 'istiod-process');
  });

  test('nothing was forbidden and nothing failed', () => {
    const bad = /forbidden|cannot (write|read|patch)|unprepared/i;
    const before = saidBeforeRestart.split('\n').filter((line) => bad.test(line));
    const mistakes = running()
      .output()
      .split('\n')
      .filter((line) => /TypeError|ReferenceError|RangeError/.test(line));
    assert.notEqual(saidBeforeRestart, '');
    assert.deepEqual([...before, ...mistakes], []);
  });
});
