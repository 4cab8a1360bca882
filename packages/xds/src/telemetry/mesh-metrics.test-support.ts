import { connect } from 'node:net';
import { decodeMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { selfSigned, signedBy } from '../testing/certificate.ts';
import { freePort } from '../testing/envoy.ts';
import { istioObject, podObject, serviceObject, sliceObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  type OfflineEnvoySetup,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { grpcServer, MESH } from './metrics.test-support.ts';

/** Ports of the services, as clients know them. */
export const PORTS = { http: 9740, grpc: 9741, tcp: 9742, egress: 9743, egressTcp: 9744, faulty: 9745 } as const;

export type Reporting = 'client' | 'server' | 'gateway';

/** A sidecar, the sidecar of the service `catalog.shop` that it calls over mutual TLS, and a gateway in front of that, each a real Envoy. */
export interface MeshLab {
  readonly net: LoopbackNet;
  readonly proxies: Readonly<Record<Reporting, OfflineEnvoy>>;
  /** Where the gateway takes HTTP and gRPC, and where TCP. */
  readonly gateway: { readonly http: number; readonly tcp: number };
  /** Where the catalogue's sidecar takes what arrives for its application. */
  readonly catalog: { readonly address: string; readonly http: number; readonly grpc: number; readonly tcp: number };
  /** Where the client's sidecar takes what is sent to addresses that no service has. */
  readonly captured: { readonly address: string; readonly port: number };
  close(): Promise<void>;
}

const CLIENT_LABELS = {
  app: 'storefront',
  version: 'v2',
  'service.istio.io/canonical-name': 'web-shop',
  'service.istio.io/canonical-revision': '7-3',
};
const CATALOG_LABELS = {
  app: 'catalog',
  version: 'v1',
  'service.istio.io/canonical-name': 'catalog-api',
  'service.istio.io/canonical-revision': 'r7',
};
const GATEWAY_LABELS = { app: 'ingress', istio: 'ingress' };

const faulty = (net: LoopbackNet): readonly KubeObject[] => [
  ...loopbackApp(net, 'slow', { last: 71, port: PORTS.faulty, protocol: 'http' }, [{ last: 2 }]),
  ...loopbackApp(net, 'aborted', { last: 72, port: PORTS.faulty, protocol: 'http' }, [{ last: 2 }]),
  ...loopbackApp(net, 'delayed', { last: 73, port: PORTS.faulty, protocol: 'http' }, [{ last: 2 }]),
  ...loopbackApp(net, 'empty', { last: 74, port: PORTS.faulty, protocol: 'http' }, []),
  ...loopbackApp(net, 'gone', { last: 75, port: PORTS.faulty, protocol: 'http' }, [{ last: 6 }]),
  ...Object.entries({
    slow: { timeout: '1s', retries: { attempts: 0 } },
    aborted: { fault: { abort: { httpStatus: 555, percentage: { value: 100 } } } },
    delayed: { fault: { delay: { fixedDelay: '0.001s', percentage: { value: 100 } } } },
    empty: { retries: { attempts: 0 } },
    gone: { retries: { attempts: 0 } },
  }).map(([name, settings]) =>
    istioObject(
      'VirtualService',
      { name },
      { hosts: [name], http: [{ ...settings, route: [{ destination: { host: name } }] }] },
    ),
  ),
];

const egress = (net: LoopbackNet): readonly KubeObject[] => [
  istioObject(
    'ServiceEntry',
    { name: 'partner' },
    {
      hosts: ['api.partner.example'],
      addresses: [net.ip(62)],
      location: 'MESH_EXTERNAL',
      resolution: 'STATIC',
      endpoints: [{ address: net.ip(2) }],
      ports: [
        { number: PORTS.egress, name: 'http', protocol: 'HTTP', targetPort: ORIGIN_PORT },
        { number: PORTS.egressTcp, name: 'tcp', protocol: 'TCP', targetPort: ORIGIN_PORT },
      ],
    },
  ),
];

export async function startMeshLab(): Promise<MeshLab> {
  const net = new LoopbackNet();
  const address = net.ip(20);
  const catalog = { address, http: await freePort(), grpc: await freePort(), tcp: await freePort() };
  const gateway = { http: await freePort(), tcp: await freePort() };
  const captured = { address: net.ip(40), port: 15_901 };
  const apps: Origin[] = [
    await startOrigin('outside', net.ip(2), ORIGIN_PORT),
    await startOrigin('http', '127.0.0.1', catalog.http),
    await startOrigin('tcp', '127.0.0.1', catalog.tcp),
  ];
  const grpc = grpcServer();
  await new Promise<void>((resolve) => grpc.listen(catalog.grpc, '127.0.0.1', resolve));
  const port = (name: 'http' | 'grpc' | 'tcp') => ({ name, port: PORTS[name], targetPort: catalog[name] });
  const host = 'catalog.shop.svc.cluster.local';
  const pod = (name: string, namespace: string, labels: Readonly<Record<string, string>>, ip: string) =>
    podObject({ name, namespace, labels, ip, account: name });
  const objects: readonly KubeObject[] = [
    pod('client', 'default', CLIENT_LABELS, net.ip(9)),
    pod('catalog', 'shop', CATALOG_LABELS, address),
    pod('ingress', 'istio-system', GATEWAY_LABELS, net.ip(10)),
    serviceObject({ name: 'catalog', namespace: 'shop' }, [port('http'), port('grpc'), port('tcp')], {
      clusterIP: net.ip(60),
      clusterIPs: [net.ip(60)],
    }),
    sliceObject(
      'catalog',
      (['http', 'grpc', 'tcp'] as const).map((name) => ({ name, port: catalog[name], protocol: 'TCP' })),
      [{ ip: address, pod: 'catalog' }],
      'shop',
    ),
    istioObject(
      'Gateway',
      { name: 'ingress', namespace: 'istio-system' },
      {
        selector: { istio: 'ingress' },
        servers: [
          { port: { number: gateway.http, name: 'http', protocol: 'HTTP' }, hosts: ['*'] },
          { port: { number: gateway.tcp, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] },
        ],
      },
    ),
    istioObject(
      'VirtualService',
      { name: 'ingress', namespace: 'istio-system' },
      {
        hosts: ['*'],
        gateways: ['ingress'],
        http: [
          {
            match: [{ headers: { 'content-type': { prefix: 'application/grpc' } } }],
            route: [{ destination: { host, port: { number: PORTS.grpc } } }],
          },
          { route: [{ destination: { host, port: { number: PORTS.http } } }] },
        ],
        tcp: [{ match: [{ port: gateway.tcp }], route: [{ destination: { host, port: { number: PORTS.tcp } } }] }],
      },
    ),
    ...egress(net),
    ...faulty(net),
    // Its sidecar would listen where the client's does.
    istioObject('Sidecar', { name: 'no-egress', namespace: 'shop' }, { egress: [{ hosts: ['~/*'] }] }),
  ];
  const authority = selfSigned('mesh');
  const meshConfig = decodeMeshConfig({ ...MESH, inboundTrafficPolicy: { mode: 'LOCALHOST' } }).value;
  const start = (
    of: { readonly name: string; readonly namespace: string; readonly type?: 'router' },
    /** As istiod's certificate authority writes it: application, canonical revision and cluster stand beside the workload. */
    subject: string,
    more: Partial<OfflineEnvoySetup>,
  ): Promise<OfflineEnvoy> => {
    const identity = `spiffe://cluster.local/ns/${of.namespace}/sa/${of.name}`;
    const { certificate, key } = signedBy(authority, `${of.name}/${subject}`, { names: `URI:${identity}` });
    return startOfflineEnvoy({
      net,
      objects,
      meshConfig,
      proxy: { ...of, identity },
      identity: { certificate, key, roots: authority.certificate },
      ...more,
    });
  };
  const proxies = {
    server: await start(
      { name: 'catalog', namespace: 'shop' },
      'OU=catalog-api/L=r7/ST=Kubernetes/title=catalog/description=v1',
      {
        captured: { inbound: { address, port: catalog.http } },
        arrivals: [
          { address, port: catalog.grpc },
          { address, port: catalog.tcp },
        ],
      },
    ),
    client: await start(
      { name: 'client', namespace: 'default' },
      'OU=web-shop/L=7-3/ST=Kubernetes/title=storefront/description=v2',
      {
        captured: { outbound: captured },
      },
    ),
    gateway: await start(
      { name: 'ingress', namespace: 'istio-system', type: 'router' },
      'OU=ingress/L=latest/ST=Kubernetes',
      {},
    ),
  };
  return {
    net,
    proxies,
    gateway,
    catalog,
    captured,
    close: async () => {
      await Promise.all(Object.values(proxies).map((one) => one.stop()));
      await Promise.all(apps.map((one) => one.close()));
      grpc.close();
    },
  };
}

/** Sends bytes and ends the connection when something has come back. */
export const exchange = (address: string, port: number, text: string): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect(port, address, () => socket.write(text));
    let got = '';
    socket.on('error', () => resolve(got));
    socket.on('close', () => resolve(got));
    socket.once('data', (data: Buffer) => {
      got = data.toString();
      socket.end();
    });
  });
