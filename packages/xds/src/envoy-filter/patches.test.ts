import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import { generateOffline, type OfflineProxy, typeUrls } from '../engine/index.ts';
import { application, istioObject, serviceObject } from '../testing/objects.ts';
import { canonical, merge } from './merge.ts';
import { parseClusterName, parseRouteName } from './names.ts';

const shop = application('shop', { name: 'http', port: 80 }, [{ version: 'v1' }]);
const client: OfflineProxy = { name: 'client', namespace: 'default', metadata: { ISTIO_VERSION: '1.30.0' } };
const server: OfflineProxy = { name: 'shop-0', namespace: 'default', metadata: { ISTIO_VERSION: '1.30.0' } };

const filter = (name: string, configPatches: readonly object[], more: object = {}): KubeObject =>
  istioObject('EnvoyFilter', { name }, { configPatches, ...more });

const generate = (patches: readonly object[], proxy: OfflineProxy = client, more: readonly KubeObject[] = []) => {
  const result = generateOffline([...shop, ...more, filter('patch', patches)], proxy);
  return {
    ...result,
    get: (type: keyof typeof typeUrls, name: string) =>
      result.resources.get(typeUrls[type])?.find((one) => one.name === name),
    text: (type: keyof typeof typeUrls, name: string): string =>
      JSON.stringify(
        result.resources
          .get(typeUrls[type])
          ?.find((one) => one.name === name)
          ?.json() ?? null,
      ),
  };
};

describe('merging', () => {
  const cluster = 'envoy.config.cluster.v3.Cluster';
  const merged = (base: object, patch: object, lists: 'append' | 'replace' = 'append') =>
    merge(cluster, canonical(cluster, base), canonical(cluster, patch), lists);

  it('replaces scalars and wrappers, appends or replaces lists, and merges messages', () => {
    const base = { name: 'a', lbPolicy: 'RANDOM', perConnectionBufferLimitBytes: 1, healthChecks: [{ timeout: '1s' }] };
    assert.deepEqual(
      merged(base, {
        per_connection_buffer_limit_bytes: 2,
        health_checks: [{ timeout: '2s' }],
        lb_policy: 'ROUND_ROBIN',
      }),
      {
        ...canonical(cluster, base),
        perConnectionBufferLimitBytes: 2,
        healthChecks: [{ timeout: '1s' }, { timeout: '2s' }],
      },
      'the default of a plain scalar is the same as none',
    );
    assert.deepEqual(merged(base, { healthChecks: [{ timeout: '3s' }] }, 'replace').healthChecks, [{ timeout: '3s' }]);
    assert.deepEqual(
      merged(
        {
          circuitBreakers: { perHostThresholds: [] },
          upstreamConnectionOptions: { tcpKeepalive: { keepaliveTime: 1 } },
        },
        {
          upstreamConnectionOptions: { tcpKeepalive: { keepaliveProbes: 3 } },
        },
      ).upstreamConnectionOptions,
      { tcpKeepalive: { keepaliveTime: 1, keepaliveProbes: 3 } },
    );
  });

  it('lets one member of a oneof take the place of another', () => {
    const result = merged({ type: 'EDS' }, { cluster_type: { name: 'envoy.clusters.dns' } });
    assert.deepEqual(result, { clusterType: { name: 'envoy.clusters.dns' } });
  });

  it('merges an Any by its type, and replaces one of another type', () => {
    const tls = (more: object) => ({
      transportSocket: {
        name: 'envoy.transport_sockets.tls',
        typedConfig: {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
          ...more,
        },
      },
    });
    assert.match(JSON.stringify(merged(tls({ sni: 'a' }), tls({ maxSessionKeys: 3 }))), /"sni":"a","maxSessionKeys":3/);
    const raw = {
      transportSocket: {
        name: 'envoy.transport_sockets.raw_buffer',
        typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer' },
      },
    };
    assert.deepEqual(merged(tls({ sni: 'a' }), raw), raw);
  });

  it('replaces entries of maps, but merges options of extensions', () => {
    const options = (more: object) => ({
      typedExtensionProtocolOptions: {
        o: { '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions', ...more },
      },
    });
    const result = JSON.stringify(
      merged(
        options({ commonHttpProtocolOptions: { idleTimeout: '1s' } }),
        options({ explicitHttpConfig: { httpProtocolOptions: {} } }),
      ),
    );
    assert.match(result, /idleTimeout.*explicitHttpConfig/);
  });
});

describe('names', () => {
  it('of route configurations say port, port name and gateway', () => {
    const none = { portName: undefined, gateway: undefined };
    assert.deepEqual(parseRouteName('80'), { port: 80, ...none });
    assert.deepEqual(parseRouteName('shop.default.svc.cluster.local:81'), { port: 81, ...none });
    assert.deepEqual(parseRouteName('inbound|82||'), { port: 82, ...none });
    assert.deepEqual(parseRouteName('http.8080'), { port: 8080, ...none });
    assert.deepEqual(parseRouteName('https.443.web.edge.istio-system'), {
      port: 443,
      portName: 'web',
      gateway: 'istio-system/edge',
    });
    assert.equal(parseRouteName('InboundPassthroughCluster').port, undefined);
  });

  it('of clusters say direction, port, subset and host', () => {
    assert.deepEqual(parseClusterName('outbound|80|v1|a.b'), {
      direction: 'outbound',
      port: 80,
      subset: 'v1',
      host: 'a.b',
    });
    assert.deepEqual(parseClusterName('outbound_.80_.v1_.a.b'), {
      direction: 'outbound',
      port: 80,
      subset: 'v1',
      host: 'a.b',
    });
    assert.equal(parseClusterName('PassthroughCluster'), undefined);
  });
});

describe('patches', () => {
  const removeFault = {
    applyTo: 'HTTP_FILTER',
    match: {
      listener: {
        filterChain: {
          filter: { name: 'envoy.filters.network.http_connection_manager', subFilter: { name: 'envoy.fault' } },
        },
      },
    },
    patch: { operation: 'REMOVE' },
  };

  it('leave everything identical that they are not for, and name themselves as origins', () => {
    const plain = generateOffline(shop, client);
    const { resources, get } = generate([
      {
        applyTo: 'CLUSTER',
        match: { cluster: { service: 'shop.default.svc.cluster.local' } },
        patch: { operation: 'MERGE', value: { connect_timeout: '7s' } },
      },
    ]);
    for (const [url, list] of plain.resources)
      for (const one of list) {
        const now = resources.get(url)?.find(({ name }) => name === one.name);
        assert.equal(
          now?.version === one.version,
          !one.name.includes('|80||shop') || url !== typeUrls.cluster,
          one.name,
        );
      }
    assert.deepEqual(
      get('cluster', 'outbound|80||shop.default.svc.cluster.local')?.origins.map(({ kind, name }) => `${kind} ${name}`),
      ['Service shop', 'EnvoyFilter patch'],
    );
  });

  it('reach arriving requests: listener, chains by port, protocol and name, and inline routes', () => {
    const { text, problems } = generate(
      [
        {
          ...removeFault,
          match: {
            ...removeFault.match,
            context: 'SIDECAR_INBOUND',
            listener: { ...removeFault.match.listener, portNumber: 8080 },
          },
        },
        {
          applyTo: 'LISTENER_FILTER',
          match: { context: 'SIDECAR_INBOUND', listener: { listenerFilter: 'envoy.listener.tls_inspector' } },
          patch: {
            operation: 'INSERT_BEFORE',
            value: {
              name: 'proxy',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
              },
            },
          },
        },
        {
          applyTo: 'FILTER_CHAIN',
          match: {
            context: 'SIDECAR_INBOUND',
            listener: { filterChain: { destinationPort: 8080, transportProtocol: 'tls' } },
          },
          patch: { operation: 'MERGE', value: { transport_socket_connect_timeout: '9s' } },
        },
        {
          applyTo: 'FILTER_CHAIN',
          match: { context: 'SIDECAR_INBOUND', listener: { filterChain: { name: 'virtualInbound-blackhole' } } },
          patch: { operation: 'REMOVE' },
        },
        {
          applyTo: 'FILTER_CHAIN',
          match: { listener: { filterChain: { applicationProtocols: 'istio-http/1.1, istio-h2', sni: 'nowhere' } } },
          patch: { operation: 'REMOVE' },
        },
        {
          applyTo: 'HTTP_ROUTE',
          match: {
            context: 'SIDECAR_INBOUND',
            routeConfiguration: { name: 'inbound|8080||', vhost: { route: { name: 'default' } } },
          },
          patch: { operation: 'MERGE', value: { route: { timeout: '11s' } } },
        },
        {
          applyTo: 'CLUSTER',
          match: { context: 'SIDECAR_INBOUND', cluster: { service: 'shop.default.svc.cluster.local' } },
          patch: { operation: 'MERGE', value: { connect_timeout: '13s' } },
        },
        {
          applyTo: 'LISTENER',
          match: { listener: { name: 'virtualInbound', portNumber: 15006 } },
          patch: { operation: 'MERGE', value: { per_connection_buffer_limit_bytes: 4242 } },
        },
      ],
      server,
    );
    assert.deepEqual(problems, []);
    const inbound = JSON.parse(text('listener', 'virtualInbound'));
    const chains = inbound.filterChains.filter(
      (c: { filterChainMatch?: { destinationPort?: number } }) => c.filterChainMatch?.destinationPort === 8080,
    );
    assert.ok(chains.length > 1);
    assert.doesNotMatch(JSON.stringify(chains), /http\.fault/);
    assert.match(JSON.stringify(inbound), /http\.fault/, 'chains of other ports keep it');
    assert.equal(inbound.listenerFilters[1].name, 'proxy');
    assert.match(JSON.stringify(chains[0]), /"transportSocketConnectTimeout":"9s"/);
    assert.doesNotMatch(JSON.stringify(inbound), /virtualInbound-blackhole/);
    assert.match(JSON.stringify(chains), /"timeout":"11s"/);
    assert.match(text('cluster', 'inbound|8080||'), /"connectTimeout":"13s"/);
    assert.equal(inbound.perConnectionBufferLimitBytes, 4242);
  });

  it('reach gateways, by gateway and port name too', () => {
    const gateway = [
      serviceObject({ name: 'gw' }, [{ name: 'https', port: 443 }]),
      istioObject(
        'Gateway',
        { name: 'edge' },
        {
          selector: { istio: 'gw' },
          servers: [
            { port: { number: 80, name: 'web', protocol: 'HTTP' }, hosts: ['*'] },
            {
              port: { number: 443, name: 'secure', protocol: 'HTTPS' },
              hosts: ['a.test'],
              tls: { mode: 'SIMPLE', credentialName: 'c' },
            },
          ],
        },
      ),
      istioObject(
        'VirtualService',
        { name: 'v' },
        {
          hosts: ['a.test'],
          gateways: ['edge'],
          http: [{ route: [{ destination: { host: 'shop' } }] }],
        },
      ),
    ];
    const header = (name: string) => ({ response_headers_to_add: [{ header: { key: name, value: '1' } }] });
    const { text } = generate(
      [
        {
          applyTo: 'ROUTE_CONFIGURATION',
          match: { context: 'GATEWAY', routeConfiguration: { gateway: 'default/edge', portName: 'secure' } },
          patch: { operation: 'MERGE', value: header('x-secure') },
        },
        {
          applyTo: 'VIRTUAL_HOST',
          match: { context: 'GATEWAY', routeConfiguration: { portNumber: 80, vhost: { name: 'a.test:80' } } },
          patch: { operation: 'MERGE', value: header('x-plain') },
        },
        {
          applyTo: 'NETWORK_FILTER',
          match: { context: 'GATEWAY', listener: { portNumber: 443, filterChain: { sni: 'a.test' } } },
          patch: {
            operation: 'INSERT_FIRST',
            value: {
              name: 'first',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster',
              },
            },
          },
        },
      ],
      { type: 'router', name: 'gw-0', namespace: 'default', labels: { istio: 'gw' } },
      gateway,
    );
    assert.match(text('route', 'https.443.secure.edge.default'), /x-secure/);
    assert.doesNotMatch(text('route', 'https.443.secure.edge.default'), /x-plain/);
    assert.match(text('route', 'http.80'), /x-plain/);
    assert.doesNotMatch(text('route', 'http.80'), /x-secure/);
    assert.match(text('listener', '0.0.0.0_443'), /sni_cluster/);
    assert.doesNotMatch(text('listener', '0.0.0.0_80'), /sni_cluster/);
  });

  it('that are wrong are told and left out, one by one', () => {
    const value = (text: object) => ({ applyTo: 'CLUSTER', patch: { operation: 'MERGE', value: text } });
    const { problems, errors, text } = generate([
      value({ no_such_field: 1 }),
      value({ connect_timeout: 'soon' }),
      value({ transport_socket: { name: 'x', typed_config: { '@type': 'type.googleapis.com/no.such.Type', a: 1 } } }),
      value({ type: 'EDS', cluster_type: { name: 'x' } }),
      value({ connect_timeout: '17s' }),
      { applyTo: 'ROUTE_CONFIGURATION', patch: { operation: 'REMOVE' } },
    ]);
    assert.deepEqual(errors, []);
    assert.deepEqual(
      problems.map(({ path }) => path),
      [...[0, 1, 2, 3].map((i) => `spec.configPatches[${i}].patch.value`), 'spec.configPatches[5].patch.operation'],
    );
    assert.ok(problems.every(({ onlyPart }) => onlyPart));
    assert.match(problems[0]?.message ?? '', /no_such_field/);
    assert.match(text('cluster', 'PassthroughCluster'), /"connectTimeout":"17s"/);
  });
});
