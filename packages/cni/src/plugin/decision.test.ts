import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_INTERCEPTION } from '@istio-ts/agent/iptables/settings';
import { decide } from './decision.ts';
import type { Pod, PodContainer } from './pod.ts';

const proxy: PodContainer = { name: 'istio-proxy', args: ['proxy', 'sidecar'], securityContext: { runAsUser: 1337 } };

function pod(
  change: { readonly [key: string]: unknown; readonly metadata?: object; readonly spec?: object } = {},
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web',
      namespace: 'default',
      annotations: { 'sidecar.istio.io/status': '{}' },
      ...change.metadata,
    },
    spec: { containers: [{ name: 'app' }, proxy], ...change.spec },
  };
}

const status = { 'sidecar.istio.io/status': '{}' };

test('pods that the plugin leaves alone, and why', () => {
  const cases: readonly (readonly [Pod, RegExp])[] = [
    [pod({ metadata: { namespace: 'kube-system' } }), /namespace kube-system is excluded/],
    [pod({ spec: { hostNetwork: true } }), /node's network/],
    [pod({ spec: { initContainers: [{ name: 'istio-init' }] } }), /istio-init sets the rules/],
    [pod({ spec: { containers: [{ name: 'app' }] } }), /no sidecar/],
    [pod({ metadata: { annotations: {} } }), /status is missing/],
    [pod({ metadata: { annotations: { ...status, 'sidecar.istio.io/inject': 'false' } } }), /inject is false/],
    [pod({ metadata: { labels: { 'sidecar.istio.io/inject': 'false' } } }), /inject is false/],
    [pod({ metadata: { annotations: { ...status, 'sidecar.istio.io/interceptionMode': 'NONE' } } }), /NONE/],
    [pod({ spec: { containers: [{ ...proxy, args: ['proxy', 'router'] }] } }), /the proxy is a router/],
    [pod({ spec: { containers: [{ ...proxy, env: [{ name: 'DISABLE_ENVOY', value: 'true' }] }] } }), /DISABLE_ENVOY/],
  ];
  for (const [input, reason] of cases) {
    const decision = decide(input, ['kube-system']);
    assert.equal(decision.kind, 'leave');
    assert.match(decision.kind === 'leave' ? decision.reason : '', reason);
  }
});

test('a label wins over the annotation, and a native sidecar counts', () => {
  const wish = pod({
    metadata: {
      labels: { 'sidecar.istio.io/inject': 'true' },
      annotations: { ...status, 'sidecar.istio.io/inject': 'false' },
    },
    spec: { initContainers: [proxy], containers: [{ name: 'app' }] },
  });
  assert.deepEqual(decide(wish, []), {
    kind: 'intercept',
    settings: { ...DEFAULT_INTERCEPTION, inboundPorts: ['*'], outboundCidrs: ['*'] },
  });
});

test('without the check of the rules, annotations say what is captured', () => {
  const decision = decide(
    pod({
      metadata: {
        annotations: {
          ...status,
          'sidecar.istio.io/interceptionMode': 'TPROXY',
          'traffic.sidecar.istio.io/includeOutboundIPRanges': '10.0.0.0/8,fd00::/8',
          'traffic.sidecar.istio.io/excludeOutboundIPRanges': '10.1.0.0/16',
          'traffic.sidecar.istio.io/includeInboundPorts': '80,81',
          'traffic.sidecar.istio.io/excludeInboundPorts': '15020',
          'traffic.sidecar.istio.io/includeOutboundPorts': '6379',
          'traffic.sidecar.istio.io/excludeOutboundPorts': '5432',
          'traffic.sidecar.istio.io/excludeInterfaces': 'eth1',
          'istio.io/reroute-virtual-interfaces': 'net1',
        },
      },
      spec: {
        containers: [
          {
            ...proxy,
            env: [{ name: 'ISTIO_META_DNS_CAPTURE', value: 'true' }],
            securityContext: { runAsUser: 1000650000, runAsGroup: 1000650001 },
          },
        ],
      },
    }),
    [],
  );
  assert.deepEqual(decision, {
    kind: 'intercept',
    settings: {
      ...DEFAULT_INTERCEPTION,
      mode: 'TPROXY',
      outboundCidrs: ['10.0.0.0/8', 'fd00::/8'],
      excludedOutboundCidrs: ['10.1.0.0/16'],
      inboundPorts: ['80', '81'],
      excludedInboundPorts: ['15020'],
      outboundPorts: ['6379'],
      excludedOutboundPorts: ['5432'],
      excludedInterfaces: ['eth1'],
      virtualInterfaces: ['net1'],
      proxyUids: ['1000650000'],
      proxyGids: ['1000650001'],
      redirectDns: true,
      captureAllDns: true,
    },
  });
});

test("the injected check's own arguments come first, as they are what an init container would have done", () => {
  const validation: PodContainer = {
    name: 'istio-validation',
    args: [
      'istio-iptables',
      '-p',
      '16001',
      '-z',
      '16006',
      '-u',
      '1337',
      '-m',
      'REDIRECT',
      '-i',
      '*',
      '-x',
      '',
      '-b',
      '8080',
    ].concat(['-d', '15090,15021', '--log_output_level=default:info', '--run-validation', '--skip-rule-apply']),
  };
  const decision = decide(pod({ spec: { initContainers: [validation] } }), []);
  assert.deepEqual(decision, {
    kind: 'intercept',
    settings: {
      ...DEFAULT_INTERCEPTION,
      outboundPort: 16001,
      inboundPort: 16006,
      outboundCidrs: ['*'],
      inboundPorts: ['8080'],
      excludedInboundPorts: ['15090', '15021'],
    },
  });
});
