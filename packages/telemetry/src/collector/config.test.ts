import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseManifests } from '@istio-ts/kube';
import { readCollectorConfig } from './config.ts';

const samples = join(import.meta.dirname, '..', '..', '..', '..', 'samples', 'open-telemetry');

test('the configurations of the samples are read', () => {
  const config = (file: string) => {
    const objects = parseManifests(readFileSync(join(samples, file), 'utf8'), file);
    const { data } = objects.find(({ kind }) => kind === 'ConfigMap') as unknown as { data: Record<string, string> };
    return readCollectorConfig(Object.values(data)[0] ?? '');
  };
  const { grpc, http, pipelines } = config('otel.yaml');
  assert.deepEqual(
    [grpc, http],
    [
      { host: '0.0.0.0', port: 4317 },
      { host: '0.0.0.0', port: 4318 },
    ],
  );
  assert.deepEqual(
    pipelines.map(({ signal, exporters }) => [signal, ...exporters.map(({ name }) => name)].join(' ')),
    ['traces otlp/tracing', 'metrics prometheus', 'logs debug'],
  );
  const [logs] = config('loki/otel.yaml').pipelines;
  assert.deepEqual(
    logs?.actions.map(({ action, key }) => `${action} ${key}`),
    ['insert loki.attribute.labels'],
  );
  assert.deepEqual(
    logs?.exporters.map(({ kind }) => kind),
    ['loki', 'debug'],
  );
});

const base = (exporters: string, more = ''): string =>
  `
receivers: {otlp: {protocols: {grpc: {endpoint: "\${env:HOST:-127.0.0.1}:0"}, http: }}}
${more}
exporters: ${exporters}
service: {pipelines: {traces: {receivers: [otlp], exporters: [one]}}}
`.replaceAll('one', '{one}');

test('variables of the environment and defaults', () => {
  const text = base('{zipkin: {endpoint: "http://z:9411/api/v2/spans"}}').replaceAll('{one}', 'zipkin');
  const { grpc, http, health } = readCollectorConfig(text, { HOST: '10.0.0.1' });
  assert.deepEqual([grpc, http, health], [{ host: '10.0.0.1', port: 0 }, { host: 'localhost', port: 4318 }, undefined]);
  assert.deepEqual(readCollectorConfig(text).grpc, { host: '127.0.0.1', port: 0 });
});

test('what is not built is refused where it stands', () => {
  const debug = base('{debug: }').replaceAll('{one}', 'debug');
  for (const [text, reason] of [
    [base('{kafka: }').replaceAll('{one}', 'kafka'), /^exporters\.kafka: is not built: exporters are debug/],
    [
      base('{otlp: {endpoint: "a:1"}}').replaceAll('{one}', 'otlp'),
      /^exporters\.otlp\.tls: TLS to a receiver is not built/,
    ],
    [base('{otlp: {endpoint: a, tls: {insecure: true}}}').replaceAll('{one}', 'otlp'), /"a" is no HOST:PORT/],
    [
      base('{loki: {endpoint: "http://l"}}').replaceAll('{one}', 'loki'),
      /^service\.pipelines\.traces\.exporters: loki takes no traces/,
    ],
    [
      base('{zipkin: {endpoint: "https://z"}}').replaceAll('{one}', 'zipkin'),
      /^exporters\.zipkin\.endpoint: .*no URL with http/,
    ],
    [
      debug.replace('receivers: [otlp]', 'receivers: [jaeger]'),
      /^service\.pipelines\.traces\.receivers: there is no receiver jaeger/,
    ],
    [debug.replaceAll('otlp', 'zipkin'), /^receivers\.zipkin: is not built: otlp is/],
    [
      debug.replace('exporters: [debug]', 'exporters: [debug], processors: [tail_sampling]'),
      /there is no processor tail_sampling/,
    ],
    [
      debug
        .replace('exporters: [debug]', 'exporters: [debug], processors: [tail_sampling]')
        .replace('exporters: {', 'processors: {tail_sampling: {}}\nexporters: {'),
      /^processors\.tail_sampling: is not built/,
    ],
    [debug.replace('service: {', 'service: {extensions: [pprof], '), /^extensions\.pprof: is not built/],
    [debug.replace('grpc: {', 'grpc: {tls: {}, '), /protocols\.grpc\.tls: is not built here/],
    ['receivers: {', /^configuration: /],
    ['service: {}', /^service\.pipelines: is empty/],
  ] as const)
    assert.throws(() => readCollectorConfig(text), { name: 'CollectorConfigError', message: reason }, text);
});
