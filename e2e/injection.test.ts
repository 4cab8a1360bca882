import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { proves, provesAnnotations } from '@istio-ts/xds/field-proof';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, run, until } from './support/shell.ts';

const reason = obstacle();

/** Applications that depend on how they are injected, all started at once. Their namespace takes mutual TLS only. */
const workloads = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {mtls: {mode: STRICT}}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  containers:
  - name: httpbin
    image: kennethreitz/httpbin
    imagePullPolicy: IfNotPresent
    ports: [{name: web, containerPort: 80}]
    startupProbe: {tcpSocket: {port: web}, periodSeconds: 1, failureThreshold: 300}
    readinessProbe: {httpGet: {path: /headers, port: web, httpHeaders: [{name: probe, value: "yes"}]}, periodSeconds: 1, timeoutSeconds: 10}
    livenessProbe: {httpGet: {path: /status/200, port: 80}, periodSeconds: 1, timeoutSeconds: 10}
---
apiVersion: v1
kind: Pod
metadata:
  name: unhealthy
  labels: {app: unhealthy}
spec:
  containers:
  - name: httpbin
    image: kennethreitz/httpbin
    imagePullPolicy: IfNotPresent
    readinessProbe: {httpGet: {path: /status/500, port: 80}, periodSeconds: 1, timeoutSeconds: 10}
---
apiVersion: batch/v1
kind: Job
metadata: {name: native}
spec:
  template:
    metadata: {annotations: {sidecar.istio.io/nativeSidecar: "true"}}
    spec:
      restartPolicy: Never
      initContainers:
      - name: early
        image: curlimages/curl
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "curl -s -o /dev/null --retry 300 --retry-all-errors --retry-delay 1 -f http://server/get && echo early-ok"]
      containers:
      - {name: app, image: curlimages/curl, imagePullPolicy: IfNotPresent, command: [sh, -c, "curl -s -o /dev/null -f http://server/get && echo app-ok"]}
---
apiVersion: v1
kind: Pod
metadata:
  name: held
  annotations:
    sidecar.istio.io/nativeSidecar: "false"
    proxy.istio.io/config: '{"holdApplicationUntilProxyStarts": true}'
spec:
  restartPolicy: Never
  containers:
  - {name: app, image: curlimages/curl, imagePullPolicy: IfNotPresent, command: [sh, -c, "curl -s -m 20 -o /dev/null -w '%{http_code}\\\\n' http://localhost:15021/healthz/ready; sleep 1d"]}
---
apiVersion: v1
kind: Pod
metadata:
  name: overridden
  annotations:
    proxy.istio.io/config: '{"concurrency": 1, "image": {"imageType": "debug"}}'
    sidecar.istio.io/proxyMemoryLimit: 700Mi
    sidecar.istio.io/userVolume: '{"notes":{"emptyDir":{}}}'
    sidecar.istio.io/userVolumeMount: '{"notes":{"mountPath":"/notes"}}'
    readiness.status.sidecar.istio.io/periodSeconds: "1"
spec:
  containers:
  - {name: app, image: curlimages/curl, imagePullPolicy: IfNotPresent, command: [sleep, 1d]}
  - name: istio-proxy
    image: auto
    env: [{name: ISTIO_META_DNS_CAPTURE, value: "true"}, {name: MINE, value: mine}]
    ports: [{containerPort: 15090, name: metrics, protocol: TCP}]
    resources: {requests: {cpu: 11m}}
    volumeMounts: [{name: own, mountPath: /own}]
    lifecycle: {preStop: {exec: {command: [sleep, "0"]}}}
  volumes: [{name: own, emptyDir: {}}]
---
apiVersion: v1
kind: Pod
metadata: {name: templated, annotations: {inject.istio.io/templates: "sidecar,mine"}}
spec:
  containers: [{name: app, image: curlimages/curl, imagePullPolicy: IfNotPresent, command: [sleep, 1d]}]
---
apiVersion: v1
kind: Service
metadata: {name: tproxy}
spec: {selector: {app: tproxy}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: tproxy, labels: {app: tproxy}, annotations: {proxy.istio.io/config: '{"interceptionMode": "TPROXY"}'}}
spec:
  containers:
  - {name: httpbin, image: kennethreitz/httpbin, imagePullPolicy: IfNotPresent, readinessProbe: {httpGet: {path: /get, port: 80}, periodSeconds: 1, timeoutSeconds: 10}}
---
apiVersion: v1
kind: Pod
metadata:
  name: proxyless
  annotations:
    inject.istio.io/templates: grpc-agent
    proxy.istio.io/config: '{"holdApplicationUntilProxyStarts": true}'
spec:
  containers:
  - {name: app, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, 'cat $GRPC_XDS_BOOTSTRAP; ls /var/lib/istio/data /etc/istio/proxy; sleep 1d']}
`;

const operator = `
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  profile: minimal
  values:
    sidecarInjectorWebhook:
      templates:
        mine: |
          metadata:
            annotations: {mine: "{{ .ObjectMeta.Name }}"}
          spec:
            containers:
            - name: app
              env: [{name: FROM_TEMPLATE, value: "{{ .Values.global.istioNamespace }}"}]
`;

/** Pods that say different things about their proxy. */
const variety: readonly { readonly annotations?: object; readonly labels?: object; readonly spec?: object }[] = [
  {},
  { labels: { app: 'a', version: 'v1', 'topology.istio.io/network': 'n1' } },
  { annotations: { 'sidecar.istio.io/nativeSidecar': 'false', 'sidecar.istio.io/interceptionMode': 'TPROXY' } },
  { annotations: { 'proxy.istio.io/config': 'concurrency: 2\nholdApplicationUntilProxyStarts: true' } },
  { annotations: { 'prometheus.io/scrape': 'true', 'prometheus.io/port': '9', 'prometheus.io/path': '/m' } },
  { annotations: { 'inject.istio.io/templates': 'gateway' } },
  { annotations: { 'inject.istio.io/templates': 'grpc-agent,mine' } },
  { annotations: { 'inject.istio.io/templates': 'grpc-simple' } },
  { annotations: { 'sidecar.istio.io/userVolume': '{"v":{"emptyDir":{}}}', 'sidecar.istio.io/proxyCPU': '1m' } },
  { annotations: { 'sidecar.istio.io/inject': 'false' } },
  { labels: { tier: 'selected' } },
  { spec: { hostNetwork: true } },
  {
    spec: {
      initContainers: [{ name: 'i', image: 'busybox', imagePullPolicy: 'IfNotPresent' }],
      securityContext: { fsGroup: 7 },
    },
  },
  {
    spec: {
      containers: [
        {
          name: 'app',
          image: 'busybox',
          imagePullPolicy: 'IfNotPresent',
          ports: [{ name: 'web', containerPort: 80 }],
          readinessProbe: { httpGet: { port: 'web', scheme: 'HTTPS' } },
          livenessProbe: { grpc: { port: 9 } },
          lifecycle: { preStop: { httpGet: { path: '/stop', port: 'web' } } },
        },
        { name: 'istio-proxy', image: 'auto', env: [{ name: 'A', value: 'b' }] },
      ],
    },
  },
];

interface PodShape {
  readonly metadata: { readonly labels?: object; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec: {
    readonly volumes?: readonly { readonly name: string }[];
    readonly containers: readonly object[];
    readonly initContainers?: readonly object[];
  };
}

/** What of a pod does not depend on its namespace and on what the API server had added to it before the injection. */
function comparable(pod: PodShape): object {
  const { 'proxy.istio.io/overrides': overrides, ...annotations } = pod.metadata.annotations ?? {};
  const overridden = [...(overrides ?? '').matchAll(/"name":"(app|istio-proxy)"/g)].map(([, name]) => name);
  const text = JSON.stringify({
    labels: pod.metadata.labels ?? {},
    annotations,
    overridden,
    spec: { ...pod.spec, volumes: [...(pod.spec.volumes ?? [])].sort((a, b) => (a.name < b.name ? -1 : 1)) },
  });
  return JSON.parse(
    text
      .replaceAll(/kube-api-access-\w+/g, 'kube-api-access')
      .replaceAll('/namespaces/by-hand/', '/namespaces/inject/'),
  ) as object;
}

describe('injection', { skip: reason ?? false }, () => {
  const cluster = ownCluster(async (started) => {
    const file = join(started.home, 'operator.yaml');
    writeFileSync(file, operator);
    await started.istioctl('install', '-y', '-f', file);
    await started.kubectl('create', 'namespace', 'inject');
    await started.kubectl('label', 'namespace', 'inject', 'istio-injection=enabled');
    await started.kubectl('create', 'namespace', 'by-hand');
    await started.apply(workloads, 'inject');
  });
  const get = async (what: string, path: string) =>
    (await cluster().kubectl('get', '-n', 'inject', ...what.split(' '), '-o', `jsonpath=${path}`)).trim();
  const ready = (pod: string) =>
    until(`pod ${pod} to be ready`, async () =>
      (await get(`pod ${pod}`, '{.status.conditions[?(@.type=="Ready")].status}')) === 'True' ? true : undefined,
    );
  const exec = (pod: string, container: string, ...command: readonly string[]) =>
    cluster().kubectl('exec', '-n', 'inject', pod, '-c', container, '--', ...command);

  test('probes work where the application takes mutual TLS only', async () => {
    await ready('server');
    assert.match(
      await get('pod server', '{.spec.containers[?(@.name=="httpbin")].readinessProbe.httpGet}'),
      /app-health\/httpbin\/readyz/,
    );
    assert.equal(await get('pod server', '{.status.containerStatuses[?(@.name=="httpbin")].restartCount}'), '0');
    // A probe that fails in the application fails at the agent, too.
    await until('the unhealthy pod’s proxy to run', async () => {
      const events = await cluster().kubectl('get', 'events', '-n', 'inject', '-o', 'json');
      return /Readiness probe failed: HTTP probe failed with statuscode: 500/.test(events) ? true : undefined;
    });
    assert.equal(await get('pod unhealthy', '{.status.conditions[?(@.type=="Ready")].status}'), 'False');
  });

  test('a Job with a native sidecar completes, and its init containers are in the mesh', async () => {
    await until('the job to complete', async () =>
      (await get('job native', '{.status.succeeded}')) === '1' ? true : undefined,
    );
    assert.match(await cluster().kubectl('logs', '-n', 'inject', 'job/native', '-c', 'early'), /early-ok/);
    assert.match(await cluster().kubectl('logs', '-n', 'inject', 'job/native', '-c', 'app'), /app-ok/);
  });

  test('a held application starts when its proxy is ready', async () => {
    proves('ProxyConfig.holdApplicationUntilProxyStarts');
    provesAnnotations('sidecar.istio.io/nativeSidecar');
    await ready('held');
    assert.equal(await get('pod held', '{.spec.containers[*].name}'), 'istio-proxy app');
    const answer = await until(
      'the first words of the application',
      async () => (await cluster().kubectl('logs', '-n', 'inject', 'held', '-c', 'app')) || undefined,
    );
    assert.equal(answer.trim(), '200');
  });

  test('what a pod says of its container istio-proxy is laid over the template', async () => {
    proves('ProxyConfig.image.imageType', 'ProxyConfig.spec.image.imageType');
    provesAnnotations(
      'sidecar.istio.io/userVolume',
      'sidecar.istio.io/userVolumeMount',
      'readiness.status.sidecar.istio.io/periodSeconds',
      'proxy.istio.io/overrides',
    );
    await ready('overridden');
    const proxy = '{.spec.initContainers[?(@.name=="istio-proxy")]';
    assert.match(await get('pod overridden', `${proxy}.image}`), /\/proxyv2:.*-debug$/);
    assert.equal(await get('pod overridden', `${proxy}.resources.limits.memory}`), '700Mi');
    assert.equal(await get('pod overridden', `${proxy}.readinessProbe.periodSeconds}`), '1');
    await exec('overridden', 'istio-proxy', 'ls', '-d', '/notes');
    assert.equal(await get('pod overridden', `${proxy}.resources.requests.cpu}`), '11m');
    assert.match(
      await get('pod overridden', `${proxy}.ports}`),
      /^\[\{"containerPort":15090,"name":"metrics","protocol":"TCP"\}\]$/,
    );
    assert.match(await exec('overridden', 'istio-proxy', 'sh', '-c', 'echo $MINE; ls -d /own'), /mine\n\/own/);
    const threads = await exec('overridden', 'istio-proxy', 'pilot-agent', 'request', 'GET', 'server_info');
    assert.match(threads, /"concurrency": 1\b/);
  });

  test('a template of one’s own comes after the sidecar’s', async () => {
    provesAnnotations('inject.istio.io/templates');
    await ready('templated');
    assert.equal(await get('pod templated', '{.metadata.annotations.mine}'), 'templated');
    assert.equal((await exec('templated', 'app', 'sh', '-c', 'echo $FROM_TEMPLATE')).trim(), 'istio-system');
  });

  test('with TPROXY traffic goes through the proxy as well', async () => {
    proves('ProxyConfig.interceptionMode');
    await ready('tproxy');
    const answer = await until('an answer through TPROXY', async () => {
      const text = await exec('templated', 'app', 'curl', '-s', '-m', '5', 'http://tproxy/headers');
      return text.includes('X-Forwarded-Client-Cert') ? text : undefined;
    });
    assert.match(answer, /spiffe:\/\/cluster\.local\/ns\/inject\/sa\/default/);
    await eventually('an answer for the pod with TPROXY', async () =>
      assert.match(
        await exec('tproxy', 'httpbin', 'curl', '-s', '-m', '5', 'http://server/headers'),
        /X-Forwarded-Client-Cert/,
      ),
    );
  });

  test('an application that speaks xDS gets its bootstrap and certificates from the agent', async () => {
    await ready('proxyless');
    const output = await until('the application’s output', async () => {
      const text = await cluster().kubectl('logs', '-n', 'inject', 'proxyless', '-c', 'app');
      return text.includes('key.pem') && text.includes('XDS') ? text : undefined;
    });
    const bootstrap = JSON.parse(output.slice(0, output.lastIndexOf('}') + 1)) as {
      readonly node: { readonly id: string };
      readonly xds_servers: readonly { readonly server_uri: string }[];
    };
    assert.match(bootstrap.node.id, /^sidecar~[\d.]+~proxyless\.inject~inject\.svc\.cluster\.local$/);
    assert.deepEqual(
      bootstrap.xds_servers.map(({ server_uri }) => server_uri),
      ['unix:///etc/istio/proxy/XDS'],
    );
  });

  test('kube-inject gives what the webhook gives', async () => {
    const { env, home, kubectl, istioctl, apply } = cluster();
    await apply(
      'apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: {name: tier}\nspec: {selector: {matchLabels: {tier: selected}}, concurrency: 6, environmentVariables: {FROM: object}}',
      'inject',
    );
    const pods = variety.map(({ annotations = {}, labels = {}, spec = {} }, i) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `variety-${i}`, annotations, labels },
      spec: { containers: [{ name: 'app', image: 'busybox', imagePullPolicy: 'IfNotPresent' }], ...spec },
    }));
    const file = join(home, 'variety.json');
    writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: pods }));
    const created = async (namespace: string, from: readonly string[], input = '') => {
      const { stdout, stderr, exitCode } = await run(
        'kubectl',
        ['create', '-n', namespace, '--dry-run=server', '-o', 'json', ...from],
        { env, input },
      );
      assert.equal(exitCode, 0, stderr);
      // kubectl prints one object after the other.
      const list = JSON.parse(`[${stdout.replaceAll(/^\}\n\{/gm, '},{')}]`) as readonly PodShape[];
      return list.map(comparable);
    };
    // The webhook hears of the ProxyConfig a moment after the API server.
    await until('the ProxyConfig to reach the webhook', async () =>
      JSON.stringify(await created('inject', ['-f', file])).includes('"FROM"') ? true : undefined,
    );
    const byWebhook = await created('inject', ['-f', file]);
    const byHand = await created('by-hand', ['-f', '-'], await istioctl('kube-inject', '-f', file, '-n', 'inject'));
    assert.equal(byWebhook.length, pods.length);
    for (const [i, pod] of byWebhook.entries()) assert.deepEqual(byHand[i], pod, JSON.stringify(variety[i]));
    assert.equal(
      byWebhook.filter((pod) => JSON.stringify(pod).includes('sidecar.istio.io/status')).length,
      pods.length - 2,
    );
    await kubectl('delete', 'proxyconfig', 'tier', '-n', 'inject');
  });

  test('check-inject and injector list say what happens', async () => {
    const { istioctl, tryIstioctl } = cluster();
    assert.match(
      await istioctl('x', 'check-inject', 'server', '-n', 'inject'),
      /✔ +namespace label istio-injection=enabled asks for it/,
    );
    assert.match(
      await istioctl('x', 'check-inject', '-n', 'by-hand', '-l', 'app=x'),
      /✘ +no namespace label .*istio-injection=enabled/,
    );
    const [, , first] = (await istioctl('x', 'injector', 'list')).split('\n');
    assert.match(first ?? '', /^default|^by-hand|^inject/);
    assert.match(await istioctl('x', 'injector', 'list'), /^inject +default +default: \d+$/m);
    const missing = await tryIstioctl('x', 'check-inject', 'nobody', '-n', 'inject');
    assert.deepEqual(
      [missing.exitCode, /there is no Pod "nobody" in namespace inject/.test(missing.stderr)],
      [1, true],
    );
  });
});
