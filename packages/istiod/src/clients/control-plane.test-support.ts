import type { AddressInfo } from 'node:net';
import { VERSION, type MeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { createMesh, type Mesh, MeshSources } from '@istio-ts/mesh';
import {
  createCsr,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  istiodDnsNames,
  loadAuthority,
  P256,
  type SpiffeIdentity,
  type TokenReviewResult,
} from '@istio-ts/security';
import { chartMeshConfig, createEngine, type ProxyConfigSource, withBootstraps, withGrpcClients } from '@istio-ts/xds';
import type { ConnectedProxy } from '../ads/connections.ts';
import { type AdsServerOptions, createAdsServer } from '../ads/server.ts';
import { stockBootstrap } from '../bootstrap/stock-bootstrap.ts';
import { createCaService } from '../ca/service.ts';
import { createGrpcServers } from '../grpc/servers.ts';
import { createDebug, debugText } from '../http/debug.ts';
import { createAdsMetrics, createCaMetrics } from '../metrics/pilot.ts';
import { MetricsRegistry } from '@istio-ts/metrics';
import { withNameTables } from '../nds/name-tables.ts';
import { silent } from '../silent-log.test-support.ts';

const TRUST_DOMAIN = 'cluster.local';
export const SYSTEM_NAMESPACE = 'istio-system';

/** A control plane as istiod puts it together, in this process, on loopback ports, with objects from the test instead of a cluster. */
export interface ControlPlane {
  readonly sources: MeshSources;
  readonly mesh: Mesh;
  /** `host:port` of the encrypted port (certificates and discovery) and of the one in plain text. */
  readonly secure: string;
  readonly plain: string;
  /** Trust anchors in PEM. */
  readonly root: string;
  /** What proxies, the CA and the ports have logged as warnings and errors. */
  readonly complaints: readonly string[];
  /** Identities that were given certificates, in order. */
  readonly issued: readonly string[];
  /** What agents reported of their applications: `POD healthy`, or the reason why it is not. */
  readonly health: readonly string[];
  readonly metrics: MetricsRegistry;
  set(...objects: readonly KubeObject[]): void;
  connections(): readonly ConnectedProxy[];
  /** A key with the mesh's certificate for it, in PEM. */
  certificate(account: Omit<SpiffeIdentity, 'trustDomain'>): { readonly key: string; readonly chain: string };
  close(): Promise<void>;
}

/** The token of a service account; it looks like Kubernetes' (agents read the time of expiry), but nobody signed it. */
export function accountToken(namespace: string, serviceAccount: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: 'https://kubernetes.default.svc',
    sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
    aud: ['istio-ca'],
    iat: now,
    exp: now + 3600,
    'kubernetes.io': { namespace, serviceaccount: { name: serviceAccount } },
  };
  return `${part({ alg: 'RS256', typ: 'JWT' })}.${part(claims)}.c2lnbmF0dXJl`;
}

function reviewed(token: string): TokenReviewResult {
  const refused = { authenticated: false, reason: 'no token of a service account' } as const;
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { sub?: string };
    const [, kind, namespace, serviceAccount] = (claims.sub ?? '').split(':');
    if (kind !== 'serviceaccount' || !namespace || !serviceAccount) return refused;
    return { authenticated: true, namespace, serviceAccount };
  } catch {
    return refused;
  }
}

/** What else takes part: who says which proxies get what, and who hears of connections and of the health of applications. */
export type ControlPlaneParts = Pick<AdsServerOptions, 'admits' | 'onConnection' | 'onHealth'> & {
  readonly around?: (source: ProxyConfigSource) => ProxyConfigSource;
};

/** Starts it with these objects; `meshConfig` is laid over what the charts install. */
export async function startControlPlane(
  objects: readonly KubeObject[],
  meshConfig: Partial<MeshConfig> = {},
  { around = (source) => source, ...parts }: ControlPlaneParts = {},
): Promise<ControlPlane> {
  const authority = loadAuthority(createRootCertificate({ organization: TRUST_DOMAIN, now: new Date() }));
  const complaints: string[] = [];
  const complain = (message: string): void => void complaints.push(message);
  const log = { ...silent, warn: complain, error: complain };
  const sources = new MeshSources({
    meshConfig: { ...chartMeshConfig(), ...meshConfig },
    onError: ({ collection, key, error }) => complain(`${collection} ${key}: ${error}`),
  });
  const mesh = createMesh(sources);
  const set = (...changed: readonly KubeObject[]): void =>
    sources.batch(() => {
      for (const object of changed) sources.set(object);
    });
  set(...objects);
  const engine = createEngine(mesh, {
    onError: ({ type, name, error }) => complain(`${type} ${name}: ${error}`),
  });
  const metrics = new MetricsRegistry();
  const authenticateToken = async (token: string): Promise<TokenReviewResult> => reviewed(token);
  const names = withNameTables(withBootstraps(withGrpcClients(engine), stockBootstrap), mesh);
  const health: string[] = [];
  let debug: ReturnType<typeof debugText> | undefined;
  const ads = createAdsServer({
    ...parts,
    source: around(names.source),
    authenticateToken,
    trustDomain: TRUST_DOMAIN,
    systemNamespace: SYSTEM_NAMESPACE,
    controlPlaneId: JSON.stringify({ Component: 'istiod', ID: 'test', Info: { version: VERSION } }),
    metrics: createAdsMetrics(metrics, VERSION),
    log,
    now: Date.now,
    debug: (command, caller) => debug?.(command, caller),
    onHealth: (node, state) => {
      health.push(`${node.podName} ${state.healthy ? 'healthy' : state.message}`);
      parts.onHealth?.(node, state);
    },
  });
  debug = debugText(createDebug({ connections: ads.connections, systemNamespace: SYSTEM_NAMESPACE }));
  const issued: string[] = [];
  const certificates = createCaService({
    authority: () => ({
      sign: (request) => {
        issued.push(`${request.identity.namespace}/${request.identity.serviceAccount}`);
        return authority.sign(request);
      },
    }),
    trustDomain: TRUST_DOMAIN,
    authenticateToken,
    subject: () => undefined,
    metrics: createCaMetrics(metrics),
    log,
    now: () => new Date(),
  });
  const own = authority.issueServer({ dnsNames: istiodDnsNames(SYSTEM_NAMESPACE), now: new Date() });
  const grpc = createGrpcServers({
    discovery: ads.methods,
    certificates,
    tls: { key: own.key, cert: own.chain, ca: authority.root },
    log,
  });
  const listen = async (server: typeof grpc.plain): Promise<string> =>
    `127.0.0.1:${((await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo).port}`;
  const secure = await listen(grpc.secure);
  const plain = await listen(grpc.plain);
  return {
    sources,
    mesh,
    secure,
    plain,
    root: authority.root,
    complaints,
    issued,
    health,
    metrics,
    set,
    connections: () => ads.connections.all(),
    certificate: ({ namespace, serviceAccount }) => {
      const key = generatePrivateKey(P256);
      const { chain } = authority.sign({
        csr: createCsr(key, []),
        identity: { trustDomain: TRUST_DOMAIN, namespace, serviceAccount },
        now: new Date(),
      });
      return { key: exportPrivateKey(key), chain };
    },
    close: async () => {
      await Promise.all([grpc.plain.close(100), grpc.secure.close(100)]);
      names.close();
      engine.close();
    },
  };
}
