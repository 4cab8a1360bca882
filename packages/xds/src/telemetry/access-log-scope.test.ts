import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { selfSigned, signedBy } from '../testing/certificate.ts';
import { freePort } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { loopbackApp, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { tlsGet } from '../testing/tls-client.ts';
import { startWorkloads } from '../testing/workloads-envoy.ts';
import { type AccessLogLab, named, startAccessLogLab, telemetry, WEB_PORT } from './access-log.test-support.ts';

/** Which requests are logged, and by whom: sides of the traffic, filters, workloads, what the mesh says by default. */

let lab: AccessLogLab;
const closing: (() => unknown)[] = [];

before(async () => {
  lab = await startAccessLogLab();
  closing.push(() => lab.close());
});
after(async () => {
  for (const close of closing) await close();
});

const provider = (name: string, text: string) => ({
  name,
  envoyFileAccessLog: { path: lab.file(name), logFormat: { text } },
});

test('sides of the traffic: what a sidecar sends is its client’s, what arrives its server’s', async () => {
  proves(
    'Telemetry.spec.accessLogging[].match.mode',
    'Telemetry.spec.accessLogging[].match.mode=CLIENT',
    'Telemetry.spec.accessLogging[].match.mode=SERVER',
    'Telemetry.spec.accessLogging[].match.mode=CLIENT_AND_SERVER',
  );
  const path = '%REQ(:PATH)%';
  const mesh = { extensionProviders: [provider('sent', path), provider('came', path), provider('both', path)] };
  const logs = telemetry([
    { match: { mode: 'CLIENT' }, ...named('sent') },
    { match: { mode: 'SERVER' }, ...named('came') },
    { match: { mode: 'CLIENT_AND_SERVER' }, ...named('both') },
  ]);
  await lab.withSidecar({ mesh, objects: [logs] }, async () => {
    await lab.toWeb('/out');
    await lab.arriving('/in');
    await lab.toWeb('/out-again');
    await lab.arriving('/in-again');
    assert.deepEqual(await lab.lines('both', 4), ['/out', '/in', '/out-again', '/in-again']);
    assert.deepEqual(await lab.lines('sent', 2), ['/out', '/out-again']);
    assert.deepEqual(await lab.lines('came', 2), ['/in', '/in-again']);
  });
});

test('filters say which requests and connections are logged', async () => {
  proves('Telemetry.spec.accessLogging[].filter.expression');
  const mesh = {
    extensionProviders: [
      provider('failed', '%REQ(:PATH)% %RESPONSE_CODE%'),
      provider('wanted', '%REQ(:PATH)%'),
      provider('connections', '%BYTES_RECEIVED%'),
    ],
  };
  const logs = telemetry([
    { ...named('failed'), filter: { expression: 'response.code >= 400' } },
    {
      ...named('wanted'),
      filter: { expression: "request.headers['x-user'] == 'anna' || request.url_path.startsWith('/last')" },
    },
    { ...named('connections'), filter: { expression: '!has(response.code) && connection.id > 0u' } },
  ]);
  await lab.withSidecar({ mesh, objects: [logs] }, async () => {
    await lab.toWeb('/status/200', { 'x-user': 'anna' });
    await lab.toWeb('/status/404', { 'x-user': 'bert' });
    await lab.toWeb('/status/503');
    await lab.exchange('seven..');
    await lab.toWeb('/last/status/500?q=1');
    assert.deepEqual(await lab.lines('failed', 3), ['/status/404 404', '/status/503 503', '/last/status/500?q=1 500']);
    assert.deepEqual(await lab.lines('wanted', 2), ['/status/200', '/last/status/500?q=1']);
    assert.deepEqual(await lab.lines('connections', 1), ['7']);
  });
});

test('the mesh, a namespace, a workload: the most special one decides', async () => {
  proves('Telemetry.spec.accessLogging[].disabled', 'Telemetry.spec.accessLogging[].providers[].name');
  const line = '%REQ(:AUTHORITY)%%REQ(:PATH)%';
  const mesh = { extensionProviders: [provider('all', line), provider('other', line)] };
  const only = (app: string, accessLogging: readonly object[], namespace = 'default') =>
    istioObject('Telemetry', { name: app, namespace }, { selector: { matchLabels: { app } }, accessLogging });
  const { port } = lab.own;
  const envoy = await startWorkloads({
    net: lab.net,
    app: port,
    meshConfig: decodeMeshConfig(mesh).value,
    objects: [
      istioObject('Telemetry', { name: 'mesh', namespace: 'istio-system' }, { accessLogging: [named('all')] }),
      istioObject('Telemetry', { name: 'quiet', namespace: 'quiet' }, { accessLogging: [{ disabled: true }] }),
      istioObject('Telemetry', { name: 'elsewhere', namespace: 'elsewhere' }, { accessLogging: [named('other')] }),
    ],
    workloads: [
      { name: 'logged' },
      { name: 'silent', objects: [only('silent', [{ disabled: true }])] },
      { name: 'failing', objects: [only('failing', [{ filter: { expression: 'response.code >= 400' } }])] },
      { name: 'client-only', objects: [only('client-only', [{ match: { mode: 'SERVER' }, disabled: true }])] },
      { name: 'unheard', namespace: 'quiet' },
      {
        name: 'loud',
        namespace: 'quiet',
        objects: [only('loud', [{ disabled: false, ...named('all') }], 'quiet')],
      },
      { name: 'moved', namespace: 'elsewhere' },
    ],
  });
  try {
    const names = ['logged', 'silent', 'failing', 'client-only', 'unheard', 'loud', 'moved'];
    for (const name of names) assert.equal((await envoy.ask(name, { path: '/1' })).text, 'the application');
    await envoy.ask('logged', { path: '/last' });
    await envoy.ask('moved', { path: '/last' });
    assert.deepEqual(await lab.lines('all', 3), ['logged/1', 'loud/1', 'logged/last']);
    assert.deepEqual(await lab.lines('other', 2), ['moved/1', 'moved/last']);
  } finally {
    await envoy.stop();
  }
});

test('what the mesh says by default: defaultProviders, and the provider that every mesh has', async () => {
  proves(
    'MeshConfig.defaultProviders.accessLogging',
    'MeshConfig.accessLogFormat',
    'MeshConfig.accessLogEncoding=TEXT',
    'MeshConfig.accessLogEncoding=JSON',
  );
  const extensionProviders = [provider('default', '%REQ(:PATH)%')];
  await lab.withSidecar(
    {
      mesh: { extensionProviders, defaultProviders: { accessLogging: ['default'] }, accessLogFile: lab.file('unused') },
    },
    async () => {
      await lab.toWeb('/of-the-mesh');
      assert.deepEqual(await lab.lines('default', 1), ['/of-the-mesh']);
      assert.equal(existsSync(lab.file('unused')), false);
    },
  );
  // A mesh that does not write its own has this one too, at /dev/stdout.
  const inFormatOfMesh = async (mesh: object, name: string): Promise<string> => {
    const envoy = { name: 'envoy', envoyFileAccessLog: { path: lab.file(name) } };
    let line = '';
    await lab.withSidecar(
      { mesh: { ...mesh, extensionProviders: [envoy] }, objects: [telemetry([named('envoy')])] },
      async () => {
        await lab.toWeb('/in-format');
        [line = ''] = await lab.lines(name, 1);
      },
    );
    return line;
  };
  assert.match(await inFormatOfMesh({}, 'istio'), /^\[20.*Z\] "GET \/in-format HTTP\/1.1" 200 - via_upstream/);
  const text = { accessLogEncoding: 'TEXT', accessLogFormat: 'OWN %REQ(:PATH)%' };
  assert.equal(await inFormatOfMesh(text, 'own'), 'OWN /in-format');
  const json = { accessLogEncoding: 'JSON', accessLogFormat: '{"own": "%REQ(:PATH)%"}' };
  assert.equal(await inFormatOfMesh(json, 'own-json'), '{"own":"/in-format"}');
});

test('listeners log what none of their filter chains takes', async () => {
  proves('MeshConfig.disableEnvoyListenerLog');
  const mesh = { extensionProviders: [provider('listener', '%RESPONSE_FLAGS% %REQ(:PATH)%')] };
  const strict = istioObject('PeerAuthentication', { name: 'strict' }, { mtls: { mode: 'STRICT' } });
  const objects = [telemetry([named('listener')]), strict];
  await lab.withSidecar({ mesh, objects }, async () => {
    await assert.rejects(lab.arriving('/in-the-clear'));
    await lab.toWeb('/after');
    assert.deepEqual(await lab.lines('listener', 2), ['NR -', '- /after']);
  });
  await lab.withSidecar({ mesh: { ...mesh, disableEnvoyListenerLog: true }, objects }, async () => {
    await assert.rejects(lab.arriving('/in-the-clear'));
    await lab.toWeb('/at-last');
    assert.deepEqual((await lab.lines('listener', 3)).slice(2), ['- /at-last']);
  });
});

test('gateways are clients: requests, connections, and handshakes that no server takes', async () => {
  const { net } = lab;
  const [http, tls] = [await freePort(), await freePort()];
  const authority = selfSigned('authority');
  const shown = signedBy(authority, 'shown.test');
  const gateway = istioObject(
    'Gateway',
    { name: 'edge' },
    {
      selector: { istio: 'edge' },
      servers: [
        { port: { number: http, name: 'http', protocol: 'HTTP' }, hosts: ['*'] },
        {
          port: { number: tls, name: 'tls', protocol: 'HTTPS' },
          hosts: ['shown.test'],
          tls: { mode: 'SIMPLE', serverCertificate: '/certs/tls.crt', privateKey: '/certs/tls.key' },
        },
      ],
    },
  );
  const line = '%REQ(:AUTHORITY)% %RESPONSE_CODE% %RESPONSE_FLAGS% %REQUESTED_SERVER_NAME%';
  const envoy = await startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'edge', labels: { istio: 'edge' }, ip: net.ip(50) }),
      gateway,
      istioObject(
        'VirtualService',
        { name: 'web' },
        {
          hosts: ['*'],
          gateways: ['edge'],
          http: [{ route: [{ destination: { host: 'web.default.svc.cluster.local', port: { number: WEB_PORT } } }] }],
        },
      ),
      ...loopbackApp(net, 'web', { last: 31, port: WEB_PORT, protocol: 'http' }, [{ last: 2 }]),
      telemetry(
        [
          { match: { mode: 'CLIENT' }, ...named('edge') },
          { match: { mode: 'SERVER' }, ...named('never') },
        ],
        'edge',
        { selector: { matchLabels: { istio: 'edge' } } },
      ),
    ],
    proxy: { name: 'edge', namespace: 'default', type: 'router' },
    meshConfig: decodeMeshConfig({ extensionProviders: [provider('edge', line), provider('never', line)] }).value,
    secrets: [
      {
        name: 'file-cert:/certs/tls.crt~/certs/tls.key',
        tlsCertificate: {
          certificateChain: { inlineString: shown.certificate },
          privateKey: { inlineString: shown.key },
        },
      },
    ],
  });
  try {
    await call('/status/404', { address: net.everywhere, port: http, host: 'any.test' });
    await assert.rejects(tlsGet(net.everywhere, tls, { servername: 'other.test' }));
    await tlsGet(net.everywhere, tls, { servername: 'shown.test' });
    assert.deepEqual(await lab.lines('edge', 3), [
      'any.test 404 - -',
      '- 0 NR other.test',
      'shown.test 200 - shown.test',
    ]);
  } finally {
    await envoy.stop();
  }
});

test('a provider whose service is not there logs nothing, and the proxy serves', async () => {
  const nowhere = (name: string, kind: string, service: string, port: number) => ({ name, [kind]: { service, port } });
  const mesh = {
    extensionProviders: [
      nowhere('absent', 'envoyHttpAls', 'absent.logs.svc.cluster.local', 9000),
      nowhere('wrong-port', 'envoyOtelAls', 'web.default.svc.cluster.local', 9000),
      nowhere('wrong-namespace', 'envoyTcpAls', 'other/web.default.svc.cluster.local', WEB_PORT),
      provider('there', '%REQ(:PATH)%'),
    ],
  };
  await lab.withSidecar(
    { mesh, objects: [telemetry([named('absent', 'wrong-port', 'wrong-namespace', 'there')])] },
    async () => {
      assert.equal((await lab.toWeb('/still')).status, 200);
      assert.deepEqual(await lab.lines('there', 1), ['/still']);
    },
  );
});
