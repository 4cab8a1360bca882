import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseYaml } from '@istio-ts/kube';
import { until } from '../support/shell.ts';
import type { Mesh } from '../tasks/mesh.ts';

const samples = join(import.meta.dirname, '../../samples');
const otelLoki = join(samples, 'open-telemetry', 'loki');

interface Found {
  readonly data: {
    readonly result: readonly {
      readonly stream: Readonly<Record<string, string>>;
      readonly values: readonly string[][];
    }[];
  };
}

let requests = 0;

/** The task that keeps access logs in Loki: proxies send them to a collector, which pushes them. */
export function accessLogsInLoki(mesh: () => Mesh): void {
  test('access logs come by OpenTelemetry to Loki, and are found there by the labels of their proxies', async () => {
    const { cluster } = mesh();
    await cluster.kubectl('apply', '-f', join(samples, 'addons', 'loki.yaml'));
    await cluster.kubectl('apply', '-n', 'istio-system', '-f', join(otelLoki, 'otel.yaml'));
    // The sample's settings on top of the profile of these tests.
    const operator = parseYaml(readFileSync(join(otelLoki, 'iop.yaml'), 'utf8'), 'iop.yaml') as { spec: object };
    const file = join(cluster.home, 'loki.json');
    writeFileSync(file, JSON.stringify({ ...operator, spec: { profile: 'demo', ...operator.spec } }));
    await cluster.istioctl('install', '-f', file, '-y');
    await cluster.podsReady('istio-system', 'app=opentelemetry-collector');
    await cluster.podsReady('istio-system', 'app=loki');
    await cluster.kubectl('apply', '-f', join(otelLoki, 'telemetry.yaml'));

    const ask = async (path: string, ...parameters: readonly string[]): Promise<string> => {
      const query = parameters.flatMap((one) => ['--data-urlencode', one]);
      const { stdout } = await mesh().exec(
        'curl',
        'curl',
        'curl',
        '-sS',
        '-G',
        `loki.istio-system:3100${path}`,
        ...query,
      );
      return stdout;
    };
    const found = await until('the lines of both proxies', async () => {
      const mark = `nr=loki-${++requests}`;
      await mesh().exec('curl', 'curl', 'curl', '-sS', '-o', '/dev/null', `httpbin:8000/status/418?${mark}`);
      return until(
        `the lines of ${mark}`,
        async () => {
          const answer = await ask('/loki/api/v1/query_range', `query={namespace="default"} |= "${mark} " |= "418"`);
          const { result } = (JSON.parse(answer) as Found).data;
          assert.equal(result.length, 2, answer);
          return result;
        },
        15_000,
      );
    });
    assert.deepEqual(found.map(({ stream }) => stream.pod?.split('-')[0]).sort(), ['curl', 'httpbin']);
    for (const { stream, values } of found) {
      assert.equal(stream.cluster, 'Kubernetes');
      assert.equal(stream.mesh, 'cluster.local');
      assert.equal(values.length, 1);
      assert.match(values[0]?.[1] ?? '', /GET \/status\/418\?nr=loki-\d+ HTTP\/1\.1.* 418 /);
    }
    const pods = JSON.parse(await ask('/loki/api/v1/label/pod/values')) as { data: readonly string[] };
    assert.ok(found.every(({ stream }) => pods.data.includes(stream.pod ?? '')));

    await cluster.kubectl('delete', '-f', join(otelLoki, 'telemetry.yaml'));
    await cluster.kubectl('delete', 'deploy,svc,cm', '-n', 'istio-system', '-l', 'app=opentelemetry-collector');
    await cluster.kubectl('delete', '-f', join(samples, 'addons', 'loki.yaml'));
  });
}
