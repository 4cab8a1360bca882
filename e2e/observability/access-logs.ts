import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually, until } from '../support/shell.ts';
import type { Mesh } from '../tasks/mesh.ts';

const telemetry = (name: string, namespace: string, spec: string): string =>
  `apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata:\n  name: ${name}\n  namespace: ${namespace}\nspec:\n${spec
    .trimEnd()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')}\n`;

let requests = 0;

/** The tasks of Istio's documentation about access logs. */
export function accessLogs(mesh: () => Mesh): void {
  const proxyLog = (app: string, ...more: readonly string[]) =>
    mesh().cluster.kubectl('logs', '-l', `app=${app}`, '-c', 'istio-proxy', '--tail=200', ...more);
  const collected = () =>
    mesh().cluster.kubectl('logs', '-l', 'app=opentelemetry-collector', '-n', 'istio-system', '--tail=200');
  /** The request of the task, with a path that no other one has. */
  const teapot = async (status = 418): Promise<string> => {
    const path = `/status/${status}?nr=${++requests}`;
    const { stderr } = await mesh().exec('curl', 'curl', 'curl', '-sS', '-v', `httpbin:8000${path}`);
    assert.match(stderr, new RegExp(`< HTTP/1.1 ${status}`));
    return path;
  };
  /**
   * The same request on a connection of its own from the proxy's container: those between the proxies that were there before end by and by, and are logged
   * until then.
   */
  const newConnection = async (): Promise<string> => {
    const path = `/status/418?nr=${++requests}`;
    const { cluster } = mesh();
    const ip = (
      await cluster.kubectl('get', 'pod', '-l', 'app=httpbin', '-o', 'jsonpath={.items[0].status.podIP}')
    ).trim();
    const curl = ['curl', '-sS', '-o', '/dev/null', '-w', '%{http_code}', `http://${ip}:80${path}`];
    const { stdout } = await mesh().exec('curl', 'istio-proxy', ...curl);
    assert.equal(stdout, '418');
    return path;
  };
  const lineOf = (log: string, path: string) => log.split('\n').find((line) => line.includes(`"GET ${path} `));
  /** Sends requests until one of them is in a log, and gives its line. */
  const logged = (what: string, log: () => Promise<string>, status?: number): Promise<string> =>
    until(what, async () => {
      const path = await teapot(status);
      return until(`the line of ${path}`, async () => lineOf(await log(), path), 12_000);
    });
  const remove = (name: string, namespace: string) =>
    mesh().cluster.kubectl('delete', 'telemetry', name, '-n', namespace, '--ignore-not-found');
  const install = async (meshConfig: string): Promise<void> => {
    const file = join(mesh().cluster.home, 'observability.yaml');
    writeFileSync(
      file,
      `apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nspec:\n  profile: demo\n  meshConfig:\n${meshConfig}`,
    );
    await mesh().cluster.istioctl('install', '-f', file, '-y');
  };
  const PROVIDERS = `    accessLogFile: ""
    extensionProviders:
    - name: otel
      envoyOtelAls:
        service: opentelemetry-collector.istio-system.svc.cluster.local
        port: 4317
`;

  const client =
    /^\[20\S+Z\] "GET \/status\/418\?nr=\d+ HTTP\/1\.1" 418 - via_upstream - "-" 0 \d+ \d+ \d+ "-" "curl\/\S+" "[-0-9a-f]{36}" "httpbin:8000" "[\d.]+:80" outbound\|8000\|\|httpbin\.default\.svc\.cluster\.local [\d.]+:\d+ [\d.]+:8000 [\d.]+:\d+ - default$/;
  const server =
    /^\[20\S+Z\] "GET \/status\/418\?nr=\d+ HTTP\/1\.1" 418 - via_upstream - "-" 0 \d+ \d+ \d+ "-" "curl\/\S+" "[-0-9a-f]{36}" "httpbin:8000" "[\d.]+:80" inbound\|80\|\| [\d.]+:\d+ [\d.]+:80 [\d.]+:\d+ outbound_\.8000_\._\.httpbin\.default\.svc\.cluster\.local default$/;

  test('Envoy Access Logs, mesh configuration: both proxies of a call print a line in the documented format', async () => {
    proves('MeshConfig.accessLogFile');
    assert.match(await logged('a line of the client', () => proxyLog('curl')), client);
    assert.match(await logged('a line of the server', () => proxyLog('httpbin')), server);
  });

  test('Envoy Access Logs, Telemetry API: the provider envoy for the whole mesh, disabled for one workload', async () => {
    proves('Telemetry.spec.accessLogging[].providers[].name', 'Telemetry.spec.accessLogging[].disabled');
    await install(PROVIDERS);
    const isQuiet = async (app: string): Promise<void> => {
      const { stdout } = await mesh().exec(app, 'istio-proxy', 'pilot-agent', 'request', 'GET', 'config_dump');
      assert.ok(
        stdout.includes('virtualInbound') && !stdout.includes('googleapis.com/envoy.extensions.access_loggers.file'),
      );
    };
    await eventually('no access logs without a Telemetry', () => isQuiet('httpbin'));
    await eventually('no access logs of the client either', () => isQuiet('curl'));
    const silent = await teapot();
    await mesh().apply(
      telemetry('mesh-default', 'istio-system', 'accessLogging:\n- providers:\n  - name: envoy'),
      'istio-system',
    );
    assert.match(await logged('a line of the client', () => proxyLog('curl')), client);
    assert.match(await logged('a line of the server', () => proxyLog('httpbin')), server);
    assert.equal(lineOf(await proxyLog('curl'), silent), undefined);
    await mesh().apply(
      telemetry(
        'disable-httpbin',
        'default',
        'selector:\n  matchLabels:\n    app: httpbin\naccessLogging:\n- providers:\n  - name: envoy\n  disabled: true',
      ),
    );
    await eventually('no access log of httpbin', () => isQuiet('httpbin'));
    const disabled = await newConnection();
    await remove('disable-httpbin', 'default');
    // Lines are in the order of the requests: that of a later one is there, so there is none of the earlier.
    await logged('httpbin logs again', () => proxyLog('httpbin'));
    assert.equal(lineOf(await proxyLog('httpbin'), disabled), undefined);
    await remove('mesh-default', 'istio-system');
  });

  test('Configure access logs with Telemetry API: filtered by response code', async () => {
    proves('Telemetry.spec.accessLogging[].filter.expression');
    await mesh().apply(
      telemetry(
        'filter-curl-logging',
        'default',
        'selector:\n  matchLabels:\n    app: curl\naccessLogging:\n- providers:\n  - name: envoy\n  filter:\n    expression: response.code >= 500',
      ),
    );
    await logged('a line of a failure', () => proxyLog('curl'), 503);
    const kept = await teapot(418);
    // Lines are in the order of the requests: that of the later one is there, so there is none of the earlier.
    await logged('a line of a later failure', () => proxyLog('curl'), 500);
    assert.equal(lineOf(await proxyLog('curl'), kept), undefined);
    await remove('filter-curl-logging', 'default');
  });

  test('OpenTelemetry access logs: the collector gets the lines of all proxies', async () => {
    proves('MeshConfig.extensionProviders[].envoyOtelAls.service', 'MeshConfig.extensionProviders[].envoyOtelAls.port');
    // What another test may have left would be older, and count.
    await remove('mesh-default', 'istio-system');
    await mesh().cluster.kubectl(
      ...['apply', '-n', 'istio-system', '-f'],
      join(import.meta.dirname, '../../samples/open-telemetry/otel.yaml'),
    );
    await mesh().cluster.podsReady('istio-system', 'app=opentelemetry-collector');
    await mesh().apply(
      telemetry('mesh-logging-default', 'istio-system', 'accessLogging:\n- providers:\n  - name: otel'),
      'istio-system',
    );
    const line = await logged('a line at the collector', collected);
    assert.match(line, /" 418 - via_upstream - .* default$/);
    // Both proxies of a call send theirs, once the Telemetry has come to both.
    await until('the lines of client and server', async () => {
      const path = await teapot();
      return until(
        `both lines of ${path}`,
        async () => {
          const lines = (await collected()).split('\n').filter((one) => one.includes(`"GET ${path} `));
          const sides = lines.map((one) => (client.test(one) ? 'client' : server.test(one) ? 'server' : one)).sort();
          assert.deepEqual(sides, ['client', 'server']);
          return true;
        },
        12_000,
      );
    });
    await remove('mesh-logging-default', 'istio-system');
    await mesh().cluster.kubectl('delete', 'deploy,svc,cm', '-n', 'istio-system', '-l', 'app=opentelemetry-collector');
  });

  test('a Telemetry with a provider that is not there, or of which nothing comes, says so in its status; one with a wrong filter is refused', async () => {
    await mesh().apply(telemetry('unknown-provider', 'default', 'accessLogging:\n- providers:\n  - name: nobody'));
    await eventually('the status of the Telemetry', async () => {
      const status = await mesh().cluster.kubectl('get', 'telemetry', 'unknown-provider', '-o', 'jsonpath={.status}');
      assert.match(status, /no extension provider nobody/);
    });
    await remove('unknown-provider', 'default');
    await mesh().apply(telemetry('unsupported', 'default', 'tracing:\n- providers:\n  - name: stackdriver'));
    await eventually('the status of the Telemetry with a tracer that Envoy does not have', async () => {
      const status = await mesh().cluster.kubectl('get', 'telemetry', 'unsupported', '-o', 'jsonpath={.status}');
      assert.match(status, /stackdriver is a provider of kind stackdriver, to which proxies send no spans/);
    });
    await remove('unsupported', 'default');
    const wrong = telemetry(
      'wrong-filter',
      'default',
      'accessLogging:\n- providers:\n  - name: envoy\n  filter:\n    expression: "response.code >="',
    );
    const { exitCode, stderr } = await mesh().cluster.tryApply(wrong);
    assert.notEqual(exitCode, 0);
    assert.match(stderr, /spec\.accessLogging\[0\]\.filter\.expression/);
  });
}
