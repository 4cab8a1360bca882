import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Values } from '@istio-ts/charts';
import { renderGatewayObjects } from './gateway-objects.ts';
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
import { injectObject } from './objects.ts';

const asking = (templates: string, spec: JsonObject = {}) =>
  podWith({ metadata: { annotations: { 'inject.istio.io/templates': templates } }, spec });
const withValues = (values: Values, pod: JsonObject = podWith(), mesh: unknown = {}): JsonObject =>
  injected({ ...chartInput(values, mesh), pod });
const names = (pod: JsonObject, list: string) => listAt(pod, 'spec', list).map(({ name }) => name);

test('grpc-simple gives applications a bootstrap and nothing else', () => {
  const pod = injected({ ...chartInput(), pod: asking('grpc-simple') });
  assert.deepEqual(names(pod, 'containers'), ['app']);
  assert.deepEqual(names(pod, 'initContainers'), ['grpc-bootstrap-init']);
  assert.equal(variableOf(containerOf(pod, 'app'), 'GRPC_XDS_BOOTSTRAP'), '/var/lib/grpc/data/bootstrap.json');
  assert.equal(containerOf(pod, 'app').image, 'app');
  const [script = ''] = containerOf(pod, 'grpc-bootstrap-init').args as readonly string[];
  // What the shell writes is JSON once its variables are filled in.
  const text = script.slice(script.indexOf('\n') + 1, script.lastIndexOf('\nEND')).replaceAll(/\$\{(\w+)\}/g, '$1');
  const bootstrap = JSON.parse(text) as { xds_servers: [{ server_uri: string }]; node: { id: string } };
  assert.equal(bootstrap.xds_servers[0].server_uri, 'istiod.ISTIO_NAMESPACE.svc:15010');
  assert.equal(bootstrap.node.id, 'sidecar~INSTANCE_IP~POD_NAME.POD_NAMESPACE~POD_NAMESPACE.svc.cluster.local');
});

test('grpc-agent runs the agent without Envoy beside the application', () => {
  const probe = { readinessProbe: { httpGet: { path: '/', port: 80 } } };
  const pod = injected({
    ...chartInput(),
    pod: asking('grpc-agent', { containers: [{ name: 'app', image: 'app', ...probe }] }),
  });
  assert.deepEqual(names(pod, 'containers').toSorted(), ['app', 'istio-proxy']);
  assert.deepEqual(names(pod, 'initContainers'), []);
  assert.equal(variableOf(containerOf(pod, 'istio-proxy'), 'DISABLE_ENVOY'), 'true');
  assert.equal(variableOf(containerOf(pod, 'app'), 'GRPC_XDS_BOOTSTRAP'), '/etc/istio/proxy/grpc-bootstrap.json');
  assert.deepEqual(containerOf(pod, 'app').readinessProbe, probe.readinessProbe);
  assert.deepEqual(objectAt(pod, 'spec', 'securityContext'), { fsGroup: 1337 });
});

test('waypoint makes the objects of a Gateway', () => {
  const { config, meshConfig, revision } = chartInput();
  const objects = renderGatewayObjects(
    'waypoint',
    {
      name: 'waypoint',
      namespace: 'shop',
      uid: 'u-1',
      deploymentName: 'waypoint',
      serviceAccount: 'waypoint',
      labels: { team: 'a' },
      annotations: {},
      ports: [{ name: 'mesh', port: 15008, appProtocol: 'all' }],
    },
    { config, meshConfig, revision },
  );
  assert.deepEqual(
    objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`),
    ['ServiceAccount shop/waypoint', 'Deployment shop/waypoint', 'Service shop/waypoint'],
  );
  const pod = objectAt(objects[1], 'spec', 'template');
  assert.equal((containerOf(pod, 'istio-proxy').args as readonly string[])[1], 'waypoint');
  assert.equal(objectAt(pod, 'metadata', 'labels')['gateway.networking.k8s.io/gateway-name'], 'waypoint');
  assert.throws(
    () => injectPod({ ...chartInput(), pod: asking('waypoint') }),
    /the template waypoint makes the Deployment of a Gateway, it cannot be put into a pod/,
  );
});

test('templates of one’s own, several in their order, and by default', () => {
  const templates = {
    first: 'metadata:\n  annotations:\n    who: first\n    one: "1"\n',
    second:
      'metadata:\n  annotations:\n    who: second\nspec:\n  containers:\n  - name: istio-proxy\n    env:\n    - name: EXTRA\n      value: "{{ .Values.global.proxy.logLevel }}"\n',
  };
  const values: Values = { sidecarInjectorWebhook: { templates } };
  const both = withValues(values, asking('sidecar, first,second'));
  assert.deepEqual([annotationsOf(both).who, annotationsOf(both).one], ['second', '1']);
  assert.equal(variableOf(containerOf(both, 'istio-proxy'), 'EXTRA'), 'warning');
  assert.equal(annotationsOf(withValues(values, asking('sidecar,second,first'))).who, 'first');
  const byDefault = withValues({
    sidecarInjectorWebhook: { templates, defaultTemplates: ['sidecar', 'first'] },
  });
  assert.equal(annotationsOf(byDefault).who, 'first');
  assert.ok(names(byDefault, 'containers').includes('istio-proxy'));
  const replaced = withValues({ sidecarInjectorWebhook: { templates: { sidecar: templates.first } } });
  assert.deepEqual(names(replaced, 'containers'), ['app']);
  assert.equal(annotationsOf(replaced).who, 'first');
});

test('several templates may share a name', () => {
  const input = chartInput();
  const config = { ...input.config, aliases: { all: ['sidecar', 'gateway'] } };
  const pod = injected({ ...input, config, pod: asking('all') });
  assert.equal((containerOf(pod, 'istio-proxy').args as readonly string[])[1], 'router');
});

test('values of global.proxy reach the pod', () => {
  const pod = withValues({
    global: {
      imagePullPolicy: 'Always',
      imagePullSecrets: ['regcred'],
      logAsJson: true,
      logging: { level: 'default:debug' },
      network: 'n1',
      meshID: 'm1',
      multiCluster: { clusterName: 'c1' },
      caAddress: 'ca.example:443',
      sts: { servicePort: 15463 },
      proxy: {
        image: 'example.com/proxy:2',
        clusterDomain: 'example.local',
        componentLogLevel: 'http:info',
        logLevel: 'error',
        excludeInboundPorts: '81',
        excludeIPRanges: '10.9.0.0/16',
        excludeOutboundPorts: '82',
        includeInboundPorts: '80',
        includeIPRanges: '10.0.0.0/8',
        includeOutboundPorts: '83',
        lifecycle: { preStop: { exec: { command: ['sleep', '1'] } } },
        outlierLogPath: '/dev/stdout',
        privileged: true,
        readinessInitialDelaySeconds: 3,
        readinessPeriodSeconds: 4,
        readinessFailureThreshold: 5,
        resources: { requests: { cpu: '7m' } },
        seccompProfile: { type: 'RuntimeDefault' },
        startupProbe: { failureThreshold: 6 },
      },
      proxy_init: { image: 'example.com/init:2', forceApplyIptables: true },
      nativeNftables: true,
    },
  });
  const [proxy, init] = [containerOf(pod, 'istio-proxy'), containerOf(pod, 'istio-init')];
  const args = proxy.args as readonly string[];
  for (const word of [
    '$(POD_NAMESPACE).svc.example.local',
    '--proxyLogLevel=error',
    '--proxyComponentLogLevel=http:info',
    '--log_output_level=default:debug',
    '--log_as_json',
    '--outlierLogPath=/dev/stdout',
    '--stsPort=15463',
  ])
    assert.ok(args.includes(word), word);
  assert.deepEqual(
    [proxy.image, init.image, proxy.imagePullPolicy, init.imagePullPolicy],
    ['example.com/proxy:2', 'example.com/init:2', 'Always', 'Always'],
  );
  assert.deepEqual(listAt(pod, 'spec', 'imagePullSecrets'), [{ name: 'regcred' }]);
  assert.deepEqual(
    ['-b', '-d', '-i', '-x', '-q', '-o'].map((flag) => argumentAfter(init, flag)),
    ['80', '15090,15021,81,15020', '10.0.0.0/8', '10.9.0.0/16', '83', '82'],
  );
  for (const flag of ['--force-apply', '--native-nftables']) assert.ok((init.args as readonly string[]).includes(flag));
  assert.deepEqual(proxy.lifecycle, { preStop: { exec: { command: ['sleep', '1'] } } });
  assert.deepEqual(proxy.resources, {
    requests: { cpu: '7m', memory: '128Mi' },
    limits: { cpu: '2000m', memory: '1024Mi' },
  });
  const security = objectAt(proxy, 'securityContext');
  assert.deepEqual([security.privileged, security.seccompProfile], [true, { type: 'RuntimeDefault' }]);
  assert.deepEqual(objectAt(init, 'securityContext').seccompProfile, { type: 'RuntimeDefault' });
  const readiness = objectAt(proxy, 'readinessProbe');
  assert.deepEqual([readiness.initialDelaySeconds, readiness.periodSeconds, readiness.failureThreshold], [3, 4, 5]);
  assert.equal(objectAt(proxy, 'startupProbe').failureThreshold, 6);
  assert.deepEqual(
    ['ISTIO_META_NETWORK', 'ISTIO_META_MESH_ID', 'ISTIO_META_CLUSTER_ID', 'CA_ADDR'].map((name) =>
      variableOf(proxy, name),
    ),
    ['n1', 'm1', 'c1', 'ca.example:443'],
  );
});

test('core dumps, variants and a held application', () => {
  const dumping = withValues({ global: { proxy: { enableCoreDump: true } } });
  assert.deepEqual(names(dumping, 'initContainers'), ['enable-core-dump', 'istio-init']);
  assert.equal(objectAt(containerOf(dumping, 'istio-proxy'), 'securityContext').readOnlyRootFilesystem, false);
  assert.match(
    String(containerOf(withValues({ global: { variant: 'distroless' } }), 'istio-proxy').image),
    /:1\.30\.0-distroless$/,
  );
  const held = [
    withValues({}, podWith(), { defaultConfig: { holdApplicationUntilProxyStarts: true } }),
    withValues(
      {},
      podWith({ metadata: { annotations: { 'proxy.istio.io/config': '{"holdApplicationUntilProxyStarts": true}' } } }),
    ),
  ];
  for (const pod of held) {
    assert.deepEqual(names(pod, 'containers'), ['istio-proxy', 'app']);
    assert.deepEqual(objectAt(containerOf(pod, 'istio-proxy'), 'lifecycle', 'postStart', 'exec').command, [
      'pilot-agent',
      'wait',
    ]);
  }
  const refused = podWith({
    metadata: { annotations: { 'proxy.istio.io/config': '{"holdApplicationUntilProxyStarts": false}' } },
  });
  assert.deepEqual(
    names(withValues({}, refused, { defaultConfig: { holdApplicationUntilProxyStarts: true } }), 'containers'),
    ['app', 'istio-proxy'],
  );
});

test('with the CNI plugin the rules are only looked at', () => {
  for (const values of [
    { cni: { enabled: true } },
    { istio_cni: { enabled: true } },
    { pilot: { cni: { enabled: true } } },
  ] as Values[]) {
    const pod = withValues(
      values,
      podWith({ metadata: { annotations: { 'traffic.sidecar.istio.io/excludeOutboundPorts': '25' } } }),
    );
    assert.deepEqual(names(pod, 'initContainers'), ['istio-validation']);
    const validation = containerOf(pod, 'istio-validation');
    assert.deepEqual((validation.args as readonly string[]).slice(-2), ['--run-validation', '--skip-rule-apply']);
    const security = objectAt(validation, 'securityContext');
    assert.deepEqual(
      [security.runAsUser, security.runAsNonRoot, objectAt(security, 'capabilities')],
      [1337, true, { drop: ['ALL'] }],
    );
    assert.equal(annotationsOf(pod)['traffic.sidecar.istio.io/excludeInboundPorts'], '15020');
    assert.equal(annotationsOf(pod)['k8s.v1.cni.cncf.io/networks'], undefined);
  }
  const multus = (networks: string | undefined) =>
    annotationsOf(
      withValues(
        { cni: { enabled: true, provider: 'multus' } },
        podWith({
          metadata: networks === undefined ? {} : { annotations: { 'k8s.v1.cni.cncf.io/networks': networks } },
        }),
      ),
    )['k8s.v1.cni.cncf.io/networks'];
  assert.equal(multus(undefined), 'default/istio-cni');
  assert.equal(multus('a, b'), 'a, b, default/istio-cni');
  assert.deepEqual(JSON.parse(String(multus('[{"name":"a"}]'))), [
    { name: 'a' },
    { namespace: 'default', name: 'istio-cni' },
  ]);
});

test('OpenShift’s ranges of ids, and pods that capture nothing', () => {
  const pod = injected({ ...chartInput(), pod: podWith(), proxyUid: 1000659999, proxyGid: 1000659999 });
  const security = objectAt(containerOf(pod, 'istio-proxy'), 'securityContext');
  assert.deepEqual([security.runAsUser, security.runAsGroup], [1000659999, 1000659999]);
  assert.deepEqual(
    ['-u', '-g'].map((flag) => argumentAfter(containerOf(pod, 'istio-init'), flag)),
    ['1000659999', '1000659999'],
  );
  const none = withValues({}, podWith({ metadata: { annotations: { 'sidecar.istio.io/interceptionMode': 'NONE' } } }));
  assert.deepEqual(names(none, 'initContainers'), []);
});

test('custom resources with a pod template', () => {
  const object = (apiVersion: string, kind: string, spec: object) => ({
    apiVersion,
    kind,
    metadata: { name: 'w' },
    spec,
  });
  const template = { metadata: {}, spec: { containers: [{ name: 'app', image: 'app' }] } };
  for (const [apiVersion, kind] of [
    ['argoproj.io/v1alpha1', 'Rollout'],
    ['serving.knative.dev/v1', 'Service'],
    ['apps.openshift.io/v1', 'DeploymentConfig'],
    ['v1', 'ReplicationController'],
  ] as const) {
    const result = injectObject(object(apiVersion, kind, { template }), chartInput());
    const pod = objectAt(result.object, 'spec', 'template');
    assert.match(
      String(variableOf(containerOf(pod, 'istio-proxy'), 'ISTIO_META_OWNER')),
      new RegExp(`${apiVersion}/namespaces/default/${kind.toLowerCase()}s/w$`),
    );
  }
  const untouched = object('example.com/v1', 'Thing', { template: { text: 'no pod' } });
  assert.deepEqual(injectObject(untouched, chartInput()), { object: untouched, changes: [] });
});
