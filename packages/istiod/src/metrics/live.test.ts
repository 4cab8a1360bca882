import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { decode, encode } from '@istio-ts/envoy';
import { type GrpcChannel, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { catalogue } from '@istio-ts/metrics/catalogue';
import { namesIn, promtoolComplaints } from '@istio-ts/metrics/promtool.test-support';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { serviceObject } from '@istio-ts/xds/testing/objects';
import { TypeUrl } from '../ads/resource-kinds.ts';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { type RunningIstiod, startIstiod } from '../hardening/istiod.test-support.ts';

const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const port = { name: 'http', port: 80 };

describe('/metrics of a whole istiod that serves a proxy', () => {
  let istiod: RunningIstiod;
  let channel: GrpcChannel;
  before(async () => {
    istiod = await startIstiod({ objects: [serviceObject({ name: 'web', namespace: 'shop' }, [port])] });
    channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: istiod.ports.grpc });
  });
  after(async () => {
    channel?.close();
    await istiod?.close();
  });
  const scrape = async (): Promise<string> => (await istiod.get('monitoring', '/metrics')).body;
  const value = (text: string, series: string): number =>
    Number(
      text
        .split('\n')
        .find((line) => line.startsWith(`${series} `))
        ?.slice(series.length + 1) ?? 0,
    );

  it('follows what happens', async () => {
    const stream = await channel.stream(ADS);
    const node = { id: 'sidecar~10.0.0.1~a.shop~shop.svc.cluster.local', metadata: { NAMESPACE: 'shop' } };
    const request = encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
      node,
      typeUrl: TypeUrl.cluster,
      resourceNamesSubscribe: ['*'],
    });
    await stream.write(request);
    const messages = stream.messages();
    const names: string[] = [];
    const receive = async (): Promise<void> => {
      const { value: bytes, done } = await messages.next();
      assert.ok(!done);
      const { resources, nonce } = decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes);
      names.push(...(resources ?? []).map(({ name }) => name ?? ''));
      const { cluster: typeUrl } = TypeUrl;
      await stream.write(
        encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { typeUrl, responseNonce: nonce ?? '' }),
      );
    };
    await receive();
    assert.ok(names.includes('outbound|80||web.shop.svc.cluster.local'));
    const before = await scrape();
    assert.match(before, /^pilot_xds\{version="[^"]+"\} 1$/m);
    assert.ok(value(before, 'pilot_xds_recv_max') >= request.length);
    assert.ok(value(before, 'process_start_time_seconds') > 1.6e9);
    await istiod.client.create(
      kubernetesTypes.Service,
      serviceObject({ name: 'more', namespace: 'shop' }, [port], { clusterIP: '10.96.1.2', clusterIPs: ['10.96.1.2'] }),
    );
    while (!names.includes('outbound|80||more.shop.svc.cluster.local')) await receive();
    await eventually('the change in the metrics', async () => {
      const now = await scrape();
      const grown = [
        'pilot_services',
        'pilot_xds_pushes{type="cds"}',
        'pilot_push_triggers{type="service"}',
        'pilot_proxy_convergence_time_count',
        'pilot_debounce_time_count',
        'pilot_pushcontext_init_seconds_count',
        'process_cpu_seconds_total',
        'nodejs_eventloop_busy_seconds_total',
      ];
      return grown.every((series) => value(now, series) > value(before, series));
    });
  });

  it('has the metrics that the catalogue says, and no others', async () => {
    const served = new Set(namesIn(await scrape()));
    const known = new Map(
      catalogue.flatMap(({ program, name, state }) => (program === 'istiod' ? [[name, state.kind]] : [])),
    );
    assert.deepEqual(
      [...served].filter((name) => (known.get(name) ?? 'absent') === 'absent'),
      [],
    );
    assert.deepEqual(
      [...known].flatMap(([name, kind]) => (kind === 'always' && !served.has(name) ? [name] : [])),
      [],
    );
  });

  it('promtool takes it', async (t) => {
    const complaints = promtoolComplaints(await scrape(), (name) => /^(istiod|nodejs|process)_/.test(name));
    if (complaints === undefined) return t.skip('promtool is not on this machine');
    assert.deepEqual(complaints, []);
  });
});
