import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, linkSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { realKiali } from './observe/real-kiali.ts';
import { boutique } from './scenarios/boutique.ts';
import { checkOut, fillCart } from './support/checkout.ts';
import { type Cluster, obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { until } from './support/shell.ts';

/*
 * The addons' real programs on the local cluster, which runs no containers: each is given as a file of this machine.
 *   JAEGER_BIN  Jaeger's all-in-one: the package cmd/all-in-one of github.com/jaegertracing/jaeger
 *   ZIPKIN_JAR  Zipkin's server: io.zipkin:zipkin-server with the classifier exec
 *   KIALI_BIN   Kiali: the package github.com/kiali/kiali
 */
const { JAEGER_BIN, ZIPKIN_JAR, KIALI_BIN } = process.env;
const given = [JAEGER_BIN, ZIPKIN_JAR, KIALI_BIN].filter((path): path is string => path !== undefined && path !== '');
const missing = given.find((path) => !existsSync(path));
const reason =
  obstacle({ localCluster: 'programs of this machine take the place of images' }) ??
  (given.length === 0
    ? 'no program of an addon is given: set JAEGER_BIN, ZIPKIN_JAR or KIALI_BIN to files of this machine'
    : missing === undefined
      ? undefined
      : `${missing} is not there`);
const without = (path: string | undefined, name: string): string | false =>
  path === undefined || path === '' ? `${name} is not set` : false;

const addons = join(import.meta.dirname, '..', 'samples', 'addons');

const PROVIDERS = `apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  profile: demo
  meshConfig:
    enableTracing: true
    extensionProviders:
    - name: zipkin
      zipkin: {service: zipkin.istio-system.svc.cluster.local, port: 9411}
    - name: otel
      opentelemetry: {service: jaeger-collector.istio-system.svc.cluster.local, port: 4317}
`;

/** Every request is traced. */
const telemetry = (provider: string): string => `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: mesh-default}
spec:
  tracing:
  - providers: [{name: ${provider}}]
    randomSamplingPercentage: 100
`;

/** Lets a container of a deployment run a file of this machine, which it sees in the folder `at`, instead of its image's program; `folders` it sees, too. */
async function runInstead(
  cluster: Cluster,
  name: string,
  program: {
    readonly file: string;
    readonly at: string;
    readonly command: readonly string[];
    readonly folders?: readonly string[];
    readonly startupProbe?: object;
  },
): Promise<void> {
  const folder = join(cluster.home, `real-${name}`);
  mkdirSync(join(folder, 'console'), { recursive: true, mode: 0o755 });
  const { folders = [] } = program;
  const to = join(folder, name);
  try {
    linkSync(program.file, to);
  } catch {
    copyFileSync(program.file, to);
  }
  // Kiali serves pages from here, which are not in its program.
  writeFileSync(join(folder, 'console', 'index.html'), '<html><head></head></html>');
  const container = {
    name,
    image: 'debian',
    command: program.command,
    args: [],
    workingDir: program.at,
    securityContext: { runAsUser: 1000 },
    ...(program.startupProbe && { startupProbe: program.startupProbe }),
    volumeMounts: [
      { name: 'real', mountPath: program.at, readOnly: true },
      ...folders.map((path, i) => ({ name: `folder-${i}`, mountPath: path, readOnly: true })),
    ],
  };
  const volumes = [
    { name: 'real', hostPath: { path: folder } },
    ...folders.map((path, i) => ({ name: `folder-${i}`, hostPath: { path } })),
  ];
  const patch = { spec: { template: { spec: { containers: [container], volumes } } } };
  await cluster.kubectl('patch', 'deployment', name, '-n', 'istio-system', '-p', JSON.stringify(patch));
  await cluster.kubectl('rollout', 'status', `deployment/${name}`, '-n', 'istio-system', '--timeout=420s');
}

/** Where this machine's Java has its settings, if outside its own folder: pods see this machine's programs, and no /etc of it. */
function javaSettings(): readonly string[] {
  const program = execFileSync('sh', ['-c', 'command -v java'], { encoding: 'utf8' }).trim();
  const settings = join(realpathSync(program), '..', '..', 'conf', 'security', 'java.security');
  if (!existsSync(settings)) return [];
  const folder = join(realpathSync(settings), '..', '..');
  return folder.startsWith('/etc/') ? [folder] : [];
}

interface FoundSpan {
  readonly id: string;
  readonly parent: string | undefined;
  readonly service: string;
  readonly kind: string;
  /** By which protocol it came. */
  readonly format: string;
}

interface JaegerTrace {
  readonly spans: readonly {
    readonly spanID: string;
    readonly processID: string;
    readonly references: readonly { readonly spanID: string }[];
    readonly tags: readonly { readonly key: string; readonly value: unknown }[];
  }[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

interface ZipkinSpan {
  readonly id: string;
  readonly parentId?: string;
  readonly kind?: string;
  readonly localEndpoint?: { readonly serviceName?: string };
}

const CHECKOUT = ['cartservice', 'checkoutservice', 'currencyservice', 'emailservice', 'frontend', 'paymentservice'];

describe('the addons’ real programs', { skip: reason ?? false }, () => {
  const started = ownCluster(async (cluster) => {
    const file = join(cluster.home, 'providers.yaml');
    writeFileSync(file, PROVIDERS);
    await cluster.istioctl('install', '-f', file, '-y');
    await cluster.kubectl('apply', '-n', 'istio-system', '-f', addons);
    await cluster.apply(telemetry('zipkin'), 'istio-system');
    await cluster.podsReady('istio-system');
  });
  boutique(started);

  /** What a program answers at a port of its own pod. */
  const get = (deployment: string, url: string): Promise<string> => {
    const inside = ['exec', '-n', 'istio-system', `deploy/${deployment}`, '--'];
    return started().kubectl(...inside, 'wget', '-qO-', `http://127.0.0.1:${url}`);
  };
  const ask = async (deployment: string, url: string): Promise<unknown> => JSON.parse(await get(deployment, url));

  /** Orders until one order is one tree of spans from the gateway to all services, in what the program answers. */
  const orderIsOneTrace = (search: (client: string) => Promise<readonly (readonly FoundSpan[])[]>, format: string) =>
    until(
      'the whole trace of an order',
      async () => {
        const address = await started().loadBalancer('istio-system', 'istio-ingressgateway');
        const client = `order-${Date.now()}`;
        const session = { cookie: `shop_session-id=${client}`, 'user-agent': client };
        await fillCart(address, { ...session, 'user-agent': `${client}-before` });
        await checkOut(address, session);
        return until(
          `the trace of ${client}`,
          async () => {
            const [spans] = await search(client);
            if (spans === undefined) throw new Error('no trace');
            const services = new Set(spans.map(({ service }) => service));
            for (const name of CHECKOUT) assert.ok(services.has(`${name}.istio-app`), `${name} of ${[...services]}`);
            // Connections that were open keep the tracer that they began with.
            assert.deepEqual([...new Set(spans.map(({ format: by }) => by))], [format]);
            const ids = new Set(spans.map(({ id }) => id));
            const roots = spans.filter(({ parent }) => parent === undefined);
            assert.deepEqual(
              roots.map(({ service }) => service),
              ['istio-ingressgateway.istio-system'],
            );
            for (const { parent } of spans) assert.ok(parent === undefined || ids.has(parent));
            return spans;
          },
          20_000,
        );
      },
      300_000,
    );

  describe('Jaeger', { skip: without(JAEGER_BIN, 'JAEGER_BIN') }, () => {
    const search = async (client: string) => {
      const tags = encodeURIComponent(JSON.stringify({ user_agent: client }));
      const { data } = (await ask(
        'jaeger',
        `16686/jaeger/api/traces?service=istio-ingressgateway.istio-system&limit=5&tags=${tags}`,
      )) as { readonly data: readonly JaegerTrace[] };
      return data.map(({ spans, processes }) =>
        spans.map(({ spanID, references, processID, tags: own }): FoundSpan => {
          const tag = (name: string) => String(own.find(({ key }) => key === name)?.value ?? '');
          return {
            id: spanID,
            parent: references[0]?.spanID,
            service: processes[processID]?.serviceName ?? '',
            kind: tag('span.kind'),
            format: tag('internal.span.format'),
          };
        }),
      );
    };

    test('runs in the place of the store', async () => {
      await runInstead(started(), 'jaeger', { file: JAEGER_BIN ?? '', at: '/opt/real', command: ['/opt/real/jaeger'] });
      assert.match(await get('jaeger', '14269/metrics'), /^jaeger_build_info/m);
    });
    for (const [provider, format] of [
      ['zipkin', 'zipkin'],
      ['otel', 'otlp'],
    ] as const)
      test(`an order is one trace: ${provider}`, async () => {
        await started().apply(telemetry(provider), 'istio-system');
        const spans = await orderIsOneTrace(search, format);
        assert.ok(spans.some(({ kind }) => kind === 'client') && spans.some(({ kind }) => kind === 'server'));
      });
  });

  describe('Zipkin', { skip: without(ZIPKIN_JAR, 'ZIPKIN_JAR') }, () => {
    test('runs in the place of the store, and an order is one trace', async () => {
      await started().kubectl('apply', '-f', join(addons, 'extras', 'zipkin.yaml'));
      await runInstead(started(), 'zipkin', {
        file: ZIPKIN_JAR ?? '',
        at: '/opt/real',
        command: ['java', '-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-jar', '/opt/real/zipkin'],
        // Java takes its time to start.
        startupProbe: { httpGet: { path: '/health', port: 9411 }, periodSeconds: 2, failureThreshold: 200 },
        folders: javaSettings(),
      });
      assert.match(await get('zipkin', '9411/info'), /"zipkin"/);
      await started().apply(telemetry('zipkin'), 'istio-system');
      await orderIsOneTrace(async (client) => {
        const query = encodeURIComponent(`user_agent=${client}`);
        const traces = (await ask(
          'zipkin',
          `9411/api/v2/traces?annotationQuery=${query}&limit=5&lookback=900000`,
        )) as readonly (readonly ZipkinSpan[])[];
        return traces.map((spans) => {
          // Both halves of a call have one id: the server's is the client's child.
          const clients = new Set(spans.filter(({ kind }) => kind === 'CLIENT').map(({ id }) => id));
          return spans.map(({ id, parentId, kind, localEndpoint }) => ({
            id,
            parent: kind === 'SERVER' && clients.has(id) ? id : parentId,
            service: (localEndpoint?.serviceName ?? '').toLowerCase(),
            kind: kind ?? '',
            format: 'zipkin',
          }));
        });
      }, 'zipkin');
    });
  });

  describe('Kiali', { skip: without(KIALI_BIN, 'KIALI_BIN') }, () => {
    test('runs in the place of the console, with our store in the place of Jaeger', async () => {
      await started().kubectl('delete', '-f', join(addons, 'extras', 'zipkin.yaml'), '--ignore-not-found');
      // As the addon has it again: the image, and no program of this machine.
      await started().kubectl('delete', 'deployment', 'jaeger', '-n', 'istio-system');
      await started().kubectl('apply', '-n', 'istio-system', '-f', join(addons, 'jaeger.yaml'));
      await started().apply(telemetry('otel'), 'istio-system');
      await started().podsReady('istio-system');
      await runInstead(started(), 'kiali', {
        file: KIALI_BIN ?? '',
        at: '/opt/kiali',
        command: ['/opt/kiali/kiali', '-config', '/kiali-configuration/config.yaml'],
      });
    });
    realKiali(started);
  });
});
