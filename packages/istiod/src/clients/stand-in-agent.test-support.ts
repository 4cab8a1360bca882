import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '@istio-ts/agent/log';
import { startSdsServer } from '@istio-ts/agent/sds/server';
import { SecretStore } from '@istio-ts/agent/sds/store';
import { type DeltaDiscoveryRequest, type DeltaDiscoveryResponse, decode, encode } from '@istio-ts/envoy';
import { createGrpcServer, type GrpcChannel, openGrpcChannel, type ServerCall } from '@istio-ts/envoy/grpc';
import { NAME_TABLE_TYPE } from '@istio-ts/envoy/name-table';
import { createCsr, exportPrivateKey, generatePrivateKey } from '@istio-ts/security';
import { freePort } from './agent.test-support.ts';
import { accountToken, type ControlPlane } from './control-plane.test-support.ts';
import { silent } from '../silent-log.test-support.ts';

/**
 * Stands in for a stock Istio agent, from what is known of its wire: it has an RSA key signed (token, `clusterid`), serves it to Envoy over its socket,
 * and is a proxy for Envoy's delta ADS stream: it connects upstream with TLS and the token (no client certificate), passes messages on as they are, and
 * after Envoy's first request for listeners asks on the same stream, without a node, for what concerns itself: names for its DNS proxy, the proxy
 * configuration, and with a readiness probe it reports health. Its bootstrap has the clusters that Istio's has and nothing that only our agent puts there.
 */

const DELTA = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
const LISTENER = 'type.googleapis.com/envoy.config.listener.v3.Listener';
export const PROXY_CONFIG_TYPE = 'type.googleapis.com/istio.mesh.v1alpha1.ProxyConfig';
export const HEALTH_TYPE = 'type.googleapis.com/istio.v1.HealthInformation';
const OWN_TYPES = [NAME_TABLE_TYPE, PROXY_CONFIG_TYPE];

export interface StandInOptions {
  readonly controlPlane: ControlPlane;
  readonly envoy: string;
  /** Release of Istio that it claims to be of. */
  readonly istioVersion: string;
  readonly pod: { readonly name: string; readonly namespace: string; readonly account: string; readonly ip: string };
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

export interface StandIn {
  readonly admin: number;
  /** Responses for the agent itself, by type. */
  readonly own: ReadonlyMap<string, readonly DeltaDiscoveryResponse[]>;
  /** Error details with which Envoy answered. */
  readonly rejections: readonly string[];
  /** Types of responses that Envoy took. */
  readonly accepted: ReadonlySet<string>;
  reportHealth(message: string | undefined): Promise<void>;
  output(): string;
  stop(): Promise<void>;
}

export async function startStandIn(options: StandInOptions): Promise<StandIn> {
  const { controlPlane, pod } = options;
  const directory = mkdtempSync(join(tmpdir(), 'stock-'));
  mkdirSync(join(directory, 'proxy'), { recursive: true });
  const [host = '', port = ''] = controlPlane.secure.split(':');
  const channel = openGrpcChannel({
    kind: 'tls',
    host,
    port: Number(port),
    serverName: 'istiod.istio-system.svc',
    tls: { ca: controlPlane.root },
  });
  const metadata = { authorization: `Bearer ${accountToken(pod.namespace, pod.account)}`, clusterid: 'Kubernetes' };
  const store = new SecretStore();
  await obtainCertificate(channel, metadata, store);
  const sdsSocket = join(directory, 'sds');
  const agentLog: Logger = { ...silent, scope: () => agentLog };
  const sds = await startSdsServer({ socketFile: sdsSocket, store, want: () => undefined, log: agentLog });

  const own = new Map<string, DeltaDiscoveryResponse[]>();
  const rejections: string[] = [];
  const accepted = new Set<string>();
  let send: ((request: DeltaDiscoveryRequest) => Promise<void>) | undefined;
  const relay = async (call: ServerCall): Promise<void> => {
    const upstream = await channel.stream(DELTA, { metadata });
    const ask = (request: DeltaDiscoveryRequest): Promise<void> =>
      upstream.write(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request));
    send = ask;
    let asked = false;
    const down = (async () => {
      for await (const bytes of upstream.messages()) {
        const response = decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', bytes);
        const { typeUrl = '', nonce = '' } = response;
        if (OWN_TYPES.includes(typeUrl)) {
          own.set(typeUrl, [...(own.get(typeUrl) ?? []), response]);
          await ask({ typeUrl, responseNonce: nonce });
        } else await call.write(bytes);
      }
    })();
    const up = (async () => {
      for await (const bytes of call.messages()) {
        const request = decode('envoy.service.discovery.v3.DeltaDiscoveryRequest', bytes);
        if (request.errorDetail !== undefined) rejections.push(`${request.typeUrl}: ${request.errorDetail.message}`);
        else if (request.responseNonce) accepted.add(request.typeUrl ?? '');
        await upstream.write(bytes);
        if (asked || request.typeUrl !== LISTENER) continue;
        asked = true;
        for (const typeUrl of OWN_TYPES) await ask({ typeUrl });
      }
    })();
    try {
      await Promise.race([down, up]);
    } finally {
      upstream.cancel();
      await Promise.allSettled([down, up]);
    }
  };
  const xdsSocket = join(directory, 'XDS');
  const xds = createGrpcServer({
    methods: { [DELTA]: { kind: 'stream', handle: relay } },
    maxReceiveBytes: 64 * 1024 * 1024,
  });
  await xds.listen({ path: xdsSocket });

  const admin = await freePort();
  const bootstrap = join(directory, 'envoy-rev.json');
  writeFileSync(
    bootstrap,
    JSON.stringify(bootstrapOf(options, { admin, sdsSocket, xdsSocket, status: await freePort() })),
  );
  const envoy: ChildProcess = spawn(
    options.envoy,
    ['-c', bootstrap, '--disable-hot-restart', '--concurrency', '1', '--allow-unknown-static-fields', '-l', 'warning'],
    { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let output = '';
  envoy.stderr?.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-100_000);
  });
  const ended = new Promise<void>((resolve) => envoy.once('exit', () => resolve()));
  return {
    admin,
    own,
    rejections,
    accepted,
    reportHealth: async (message) => {
      await send?.({
        typeUrl: HEALTH_TYPE,
        ...(message !== undefined && { errorDetail: { code: 500, message } }),
      });
    },
    output: () => output,
    stop: async () => {
      envoy.kill();
      await ended;
      channel.close();
      await Promise.all([xds.close(50), sds.close()]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function obtainCertificate(
  channel: GrpcChannel,
  metadata: Readonly<Record<string, string>>,
  store: SecretStore,
): Promise<void> {
  const key = generatePrivateKey({ kind: 'rsa', bits: 2048 });
  const response = await channel.unary(
    '/istio.v1.auth.IstioCertificateService/CreateCertificate',
    encode('istio.v1.auth.IstioCertificateRequest', {
      csr: createCsr(key, []),
      validityDuration: 86_400,
      metadata: {},
    }),
    { metadata },
  );
  const chain = decode('istio.v1.auth.IstioCertificateResponse', response).certChain ?? [];
  store.put('default', { kind: 'certificate', chain: chain.join('\n'), key: exportPrivateKey(key) });
  store.put('ROOTCA', { kind: 'root', trustedCa: chain.at(-1) ?? '' });
}

const HTTP2 = {
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
    '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
    explicit_http_config: { http2_protocol_options: {} },
  },
};

const staticCluster = (name: string, address: object, more: object = {}): object => ({
  name,
  type: 'STATIC',
  connect_timeout: '1s',
  ...more,
  load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] },
});

function bootstrapOf(
  { pod, labels, istioVersion, metadata }: StandInOptions,
  places: { readonly admin: number; readonly status: number; readonly sdsSocket: string; readonly xdsSocket: string },
): object {
  const loopback = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } });
  const ads = { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' };
  return {
    node: {
      id: `sidecar~${pod.ip}~${pod.name}.${pod.namespace}~${pod.namespace}.svc.cluster.local`,
      cluster: `${pod.account}.${pod.namespace}`,
      locality: {},
      metadata: {
        NAME: pod.name,
        NAMESPACE: pod.namespace,
        ISTIO_VERSION: istioVersion,
        ISTIO_PROXY_SHA: '0123456789abcdef0123456789abcdef01234567',
        CLUSTER_ID: 'Kubernetes',
        MESH_ID: 'cluster.local',
        SERVICE_ACCOUNT: pod.account,
        WORKLOAD_NAME: pod.account,
        OWNER: `kubernetes://apis/apps/v1/namespaces/${pod.namespace}/deployments/${pod.account}`,
        NODE_NAME: 'node-1',
        INSTANCE_IPS: pod.ip,
        INTERCEPTION_MODE: 'REDIRECT',
        PILOT_SAN: ['istiod.istio-system.svc'],
        APP_CONTAINERS: 'app',
        POD_PORTS: '[{"containerPort":8080,"protocol":"TCP"}]',
        LABELS: labels,
        ANNOTATIONS: {},
        ENVOY_STATUS_PORT: 15021,
        ENVOY_PROMETHEUS_PORT: 15090,
        DNS_CAPTURE: 'true',
        PROXY_CONFIG: {
          configPath: './etc/istio/proxy',
          binaryPath: '/usr/local/bin/envoy',
          serviceCluster: 'istio-proxy',
          drainDuration: '45s',
          discoveryAddress: 'istiod.istio-system.svc:15012',
          proxyAdminPort: 15000,
          controlPlaneAuthPolicy: 'MUTUAL_TLS',
          statNameLength: 189,
          concurrency: 2,
          statusPort: 15020,
          terminationDrainDuration: '5s',
        },
        ...metadata,
      },
    },
    layered_runtime: { layers: [{ name: 'admin', admin_layer: {} }] },
    stats_config: { use_all_default_tags: false },
    admin: { address: loopback(places.admin) },
    dynamic_resources: {
      lds_config: ads,
      cds_config: ads,
      ads_config: {
        api_type: 'DELTA_GRPC',
        set_node_on_first_message_only: true,
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds-grpc' } }],
      },
    },
    static_resources: {
      clusters: [
        staticCluster('prometheus_stats', loopback(places.admin)),
        staticCluster('agent', loopback(places.status)),
        staticCluster('sds-grpc', { pipe: { path: places.sdsSocket } }, { typed_extension_protocol_options: HTTP2 }),
        staticCluster('xds-grpc', { pipe: { path: places.xdsSocket } }, { typed_extension_protocol_options: HTTP2 }),
      ],
    },
  };
}
