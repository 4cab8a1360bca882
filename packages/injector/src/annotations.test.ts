import assert from 'node:assert/strict';
import { test } from 'node:test';
import { provesAnnotations } from '@istio-ts/xds/field-proof';
import { InjectionError } from './errors.ts';
import { injectPod } from './inject.ts';
import {
  annotationsOf,
  argumentAfter,
  chartInput,
  containerOf,
  injected,
  podWith,
  variableOf,
} from './injection.test-support.ts';
import { type JsonObject, listAt, objectAt } from './json.ts';

provesAnnotations(
  'istio.io/reroute-virtual-interfaces',
  'prometheus.istio.io/merge-metrics',
  'sidecar.istio.io/rewriteAppHTTPProbers',
  'sidecar.istio.io/discoveryAddress',
  'sidecar.istio.io/proxyImage',
  'sidecar.istio.io/proxyImageType',
  'sidecar.istio.io/proxyCPU',
  'sidecar.istio.io/proxyCPULimit',
  'sidecar.istio.io/proxyMemory',
  'sidecar.istio.io/proxyMemoryLimit',
  'sidecar.istio.io/interceptionMode',
  'sidecar.istio.io/bootstrapOverride',
  'sidecar.istio.io/userVolume',
  'sidecar.istio.io/userVolumeMount',
  'status.sidecar.istio.io/port',
  'sidecar.istio.io/logLevel',
  'sidecar.istio.io/componentLogLevel',
  'sidecar.istio.io/agentLogLevel',
  'sidecar.istio.io/nativeSidecar',
  'readiness.status.sidecar.istio.io/initialDelaySeconds',
  'readiness.status.sidecar.istio.io/periodSeconds',
  'readiness.status.sidecar.istio.io/failureThreshold',
  'traffic.sidecar.istio.io/includeOutboundIPRanges',
  'traffic.sidecar.istio.io/excludeOutboundIPRanges',
  'traffic.sidecar.istio.io/includeInboundPorts',
  'traffic.sidecar.istio.io/excludeInboundPorts',
  'traffic.sidecar.istio.io/excludeInterfaces',
  'traffic.sidecar.istio.io/includeOutboundPorts',
  'traffic.sidecar.istio.io/excludeOutboundPorts',
  'traffic.sidecar.istio.io/kubevirtInterfaces',
  'proxy.istio.io/config',
  'inject.istio.io/templates',
);

const input = chartInput();

/** What is asked of an injected pod. */
class Look {
  readonly pod: JsonObject;
  constructor(pod: JsonObject) {
    this.pod = pod;
  }
  get proxy(): JsonObject {
    return containerOf(this.pod, 'istio-proxy');
  }
  get init(): JsonObject {
    return containerOf(this.pod, 'istio-init');
  }
  get config(): JsonObject {
    return JSON.parse(String(variableOf(this.proxy, 'PROXY_CONFIG'))) as JsonObject;
  }
  hasArgument(argument: string): boolean {
    return (this.proxy.args as readonly string[]).includes(argument);
  }
  volume(name: string): JsonObject | undefined {
    return listAt(this.pod, 'spec', 'volumes').find((volume) => volume.name === name);
  }
}

const probed = { containers: [{ name: 'app', image: 'app', livenessProbe: { httpGet: { path: '/x', port: 80 } } }] };
const scraped = { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9102' };

/** Every annotation of a pod that injection acts on: its value, what it does, and what the pod is without it where that is not the opposite. */
const EFFECTS: Readonly<
  Record<string, { value: string; spec?: JsonObject; more?: JsonObject; does: (look: Look) => unknown }>
> = {
  'prometheus.istio.io/merge-metrics': {
    value: 'false',
    more: scraped,
    does: ({ pod }) => annotationsOf(pod)['prometheus.io/port'] === '9102',
  },
  'sidecar.istio.io/rewriteAppHTTPProbers': {
    value: 'false',
    spec: probed,
    does: ({ pod }) => objectAt(containerOf(pod, 'app'), 'livenessProbe', 'httpGet').path === '/x',
  },
  'sidecar.istio.io/discoveryAddress': {
    value: 'istiod.far:15012',
    does: (look) =>
      look.config.discoveryAddress === 'istiod.far:15012' && variableOf(look.proxy, 'CA_ADDR') === 'istiod.far:15012',
  },
  'sidecar.istio.io/proxyImage': {
    value: 'example.com/p:1',
    does: ({ proxy, init }) => proxy.image === 'example.com/p:1' && init.image === proxy.image,
  },
  'sidecar.istio.io/proxyImageType': {
    value: 'distroless',
    does: ({ proxy }) => String(proxy.image).endsWith('proxyv2:1.30.0-distroless'),
  },
  'sidecar.istio.io/proxyCPU': {
    value: '50m',
    does: ({ proxy }) => objectAt(proxy, 'resources', 'requests').cpu === '50m',
  },
  'sidecar.istio.io/proxyCPULimit': {
    value: '500m',
    does: ({ proxy }) => objectAt(proxy, 'resources', 'limits').cpu === '500m',
  },
  'sidecar.istio.io/proxyMemory': {
    value: '64Mi',
    does: ({ proxy }) => objectAt(proxy, 'resources', 'requests').memory === '64Mi',
  },
  'sidecar.istio.io/proxyMemoryLimit': {
    value: '256Mi',
    does: ({ proxy }) => objectAt(proxy, 'resources', 'limits').memory === '256Mi',
  },
  'sidecar.istio.io/interceptionMode': {
    value: 'TPROXY',
    does: (look) =>
      argumentAfter(look.init, '-m') === 'TPROXY' &&
      variableOf(look.proxy, 'ISTIO_META_INTERCEPTION_MODE') === 'TPROXY' &&
      JSON.stringify(objectAt(look.proxy, 'securityContext', 'capabilities').add) === '["NET_ADMIN"]' &&
      objectAt(look.proxy, 'securityContext').runAsUser === 0,
  },
  'sidecar.istio.io/bootstrapOverride': {
    value: 'mine',
    does: (look) =>
      objectAt(look.volume('custom-bootstrap-volume'), 'configMap').name === 'mine' &&
      variableOf(look.proxy, 'ISTIO_BOOTSTRAP_OVERRIDE') === '/etc/istio/custom-bootstrap/custom_bootstrap.json',
  },
  'sidecar.istio.io/userVolume': {
    value: '{"data":{"emptyDir":{}}}',
    does: (look) => look.volume('data')?.emptyDir !== undefined,
  },
  'sidecar.istio.io/userVolumeMount': {
    value: '{"data":{"mountPath":"/data","readOnly":true}}',
    does: ({ proxy }) =>
      listAt(proxy, 'volumeMounts').some((mount) => mount.mountPath === '/data' && mount.readOnly === true),
  },
  'status.sidecar.istio.io/port': {
    value: '15025',
    does: (look) =>
      look.config.statusPort === 15025 &&
      annotationsOf(look.pod)['prometheus.io/port'] === '15025' &&
      String(argumentAfter(look.init, '-d')).split(',').includes('15025'),
  },
  'sidecar.istio.io/logLevel': { value: 'trace', does: (look) => look.hasArgument('--proxyLogLevel=trace') },
  'sidecar.istio.io/componentLogLevel': {
    value: 'http:debug',
    does: (look) => look.hasArgument('--proxyComponentLogLevel=http:debug'),
  },
  'sidecar.istio.io/agentLogLevel': {
    value: 'default:debug',
    does: (look) =>
      look.hasArgument('--log_output_level=default:debug') &&
      (look.init.args as readonly string[]).includes('--log_output_level=default:debug'),
  },
  'sidecar.istio.io/nativeSidecar': {
    value: 'true',
    does: ({ pod, proxy }) =>
      proxy.restartPolicy === 'Always' &&
      listAt(pod, 'spec', 'initContainers')
        .map(({ name }) => name)
        .join() === 'istio-init,istio-proxy' &&
      listAt(pod, 'spec', 'containers').length === 1,
  },
  'readiness.status.sidecar.istio.io/initialDelaySeconds': {
    value: '9',
    does: ({ proxy }) => objectAt(proxy, 'readinessProbe').initialDelaySeconds === 9,
  },
  'readiness.status.sidecar.istio.io/periodSeconds': {
    value: '9',
    does: ({ proxy }) => objectAt(proxy, 'readinessProbe').periodSeconds === 9,
  },
  'readiness.status.sidecar.istio.io/failureThreshold': {
    value: '9',
    does: ({ proxy }) => objectAt(proxy, 'readinessProbe').failureThreshold === 9,
  },
  'traffic.sidecar.istio.io/includeOutboundIPRanges': {
    value: '10.1.0.0/16',
    does: ({ init }) => argumentAfter(init, '-i') === '10.1.0.0/16',
  },
  'traffic.sidecar.istio.io/excludeOutboundIPRanges': {
    value: '10.2.0.0/16',
    does: ({ init }) => argumentAfter(init, '-x') === '10.2.0.0/16',
  },
  'traffic.sidecar.istio.io/includeInboundPorts': {
    value: '80,81',
    does: ({ init }) => argumentAfter(init, '-b') === '80,81',
  },
  'traffic.sidecar.istio.io/excludeInboundPorts': {
    value: '82',
    does: ({ init }) => argumentAfter(init, '-d') === '15090,15021,82,15020',
  },
  'traffic.sidecar.istio.io/excludeInterfaces': {
    value: 'eth1',
    does: ({ init }) => argumentAfter(init, '-c') === 'eth1',
  },
  'traffic.sidecar.istio.io/includeOutboundPorts': {
    value: '443',
    does: ({ init }) => argumentAfter(init, '-q') === '443',
  },
  'traffic.sidecar.istio.io/excludeOutboundPorts': {
    value: '25',
    does: ({ init }) => argumentAfter(init, '-o') === '25',
  },
  'traffic.sidecar.istio.io/kubevirtInterfaces': {
    value: 'net1',
    does: ({ init }) => argumentAfter(init, '-k') === 'net1',
  },
  'istio.io/reroute-virtual-interfaces': { value: 'net2', does: ({ init }) => argumentAfter(init, '-k') === 'net2' },
  'proxy.istio.io/config': {
    value: 'concurrency: 3\nproxyMetadata: {A: b}\nholdApplicationUntilProxyStarts: true',
    does: ({ config, proxy, pod }) =>
      config.concurrency === 3 &&
      variableOf(proxy, 'A') === 'b' &&
      listAt(pod, 'spec', 'containers')[0]?.name === 'istio-proxy' &&
      objectAt(proxy, 'lifecycle', 'postStart', 'exec').command !== undefined,
  },
  'inject.istio.io/templates': {
    value: 'gateway',
    does: (look) => look.hasArgument('router') && Object.keys(look.init).length === 0,
  },
};

for (const [name, { value, spec = {}, more = {}, does }] of Object.entries(EFFECTS)) {
  test(`annotation ${name} takes effect`, () => {
    const look = (annotations: JsonObject): Look =>
      new Look(injected({ ...input, pod: podWith({ metadata: { annotations: { ...more, ...annotations } }, spec }) }));
    assert.equal(does(look({})), false, 'without it the pod is another');
    assert.ok(does(look({ [name]: value })));
  });
}

test('volumes and mounts as lists, as Istio’s documentation has them', () => {
  const annotations = {
    'sidecar.istio.io/userVolume': '[{"name":"data","emptyDir":{"medium":"Memory"}}]',
    'sidecar.istio.io/userVolumeMount': '[{"name":"data","mountPath":"/data"}]',
  };
  const look = new Look(injected({ ...input, pod: podWith({ metadata: { annotations } }) }));
  assert.deepEqual(look.volume('data'), { name: 'data', emptyDir: { medium: 'Memory' } });
  assert.deepEqual(
    listAt(look.proxy, 'volumeMounts').filter(({ name }) => name === 'data'),
    [{ name: 'data', mountPath: '/data' }],
  );
});

test('annotations about statistics stay on the pod, from where the agent reads them', () => {
  const annotations = {
    'sidecar.istio.io/statsInclusionPrefixes': 'a',
    'sidecar.istio.io/statsHistogramBuckets': '{"istiocustom":[1]}',
    'sidecar.istio.io/extraStatTags': 't',
  };
  const pod = injected({ ...input, pod: podWith({ metadata: { annotations } }) });
  for (const [name, value] of Object.entries(annotations)) assert.equal(annotationsOf(pod)[name], value);
  const info = listAt(pod, 'spec', 'volumes').find(({ name }) => name === 'istio-podinfo');
  assert.deepEqual(
    listAt(info, 'downwardAPI', 'items').map(({ path }) => path),
    ['labels', 'annotations'],
  );
});

test('labels that concern the proxy', () => {
  const labelsOf = (labels: JsonObject) =>
    objectAt(injected({ ...input, network: 'n1', pod: podWith({ metadata: { labels } }) }), 'metadata', 'labels');
  assert.deepEqual(labelsOf({}), {
    'security.istio.io/tlsMode': 'istio',
    'service.istio.io/canonical-name': 'p',
    'service.istio.io/canonical-revision': 'latest',
    'topology.istio.io/network': 'n1',
  });
  const own = {
    'security.istio.io/tlsMode': 'disabled',
    'service.istio.io/canonical-name': 'shop',
    'service.istio.io/canonical-revision': 'v7',
    'topology.istio.io/network': 'n2',
  };
  assert.deepEqual(labelsOf(own), own);
  const pod = injected({ ...input, pod: podWith({ metadata: { labels: { 'topology.istio.io/network': 'n2' } } }) });
  assert.equal(variableOf(containerOf(pod, 'istio-proxy'), 'ISTIO_META_NETWORK'), 'n2');
});

test('a wrong value is refused with the annotation’s name', () => {
  for (const [name, value, message] of [
    ['sidecar.istio.io/interceptionMode', 'IPVS', /must be one of REDIRECT, TPROXY, NONE, not "IPVS"/],
    ['sidecar.istio.io/proxyCPU', 'much', /must be a quantity/],
    ['sidecar.istio.io/nativeSidecar', 'yes', /must be one of true, false/],
    ['traffic.sidecar.istio.io/includeOutboundIPRanges', '10.0.0.0/8,10.0.0.0/33', /"10\.0\.0\.0\/33" is not a range/],
    ['traffic.sidecar.istio.io/excludeInboundPorts', '80,https', /"https" is not a port/],
    ['readiness.status.sidecar.istio.io/periodSeconds', '1s', /must be a whole number/],
    ['status.sidecar.istio.io/port', '70000', /"70000" is not a port/],
    ['sidecar.istio.io/userVolumeMount', '[{"mountPath":"/data"}]', /a list of objects with names/],
  ] as const)
    assert.throws(
      () => injectPod({ ...input, pod: podWith({ metadata: { annotations: { [name]: value } } }) }),
      (error) => error instanceof InjectionError && error.field === `annotation ${name}` && message.test(error.message),
      name,
    );
  for (const value of ['*', 'fd00::/8,10.0.0.1', ''])
    assert.ok(
      injected({
        ...input,
        pod: podWith({ metadata: { annotations: { 'traffic.sidecar.istio.io/includeOutboundIPRanges': value } } }),
      }),
    );
});
