import { isIP } from 'node:net';
import type { Node } from '@istio-ts/envoy';
import { GrpcError } from '@istio-ts/envoy/grpc';
import { parseSpiffe, SpiffeError } from '@istio-ts/security';
import type { ProxyNode } from '@istio-ts/xds';

const TYPES = ['sidecar', 'router', 'waypoint', 'ztunnel'] as const;
const MAX_ID_LENGTH = 1024;

function isProxyType(text: string | undefined): text is ProxyNode['type'] {
  return TYPES.some((type) => type === text);
}

/**
 * Reads what a proxy says of itself: the id is `type~ip~name.namespace~domain`, everything else stands in the metadata
 * (Istio's node metadata keys). Raises GrpcError INVALID_ARGUMENT that says which part is wrong.
 */
export function parseNode(node: Node, identity: string | undefined): ProxyNode {
  const id = node.id ?? '';
  const refuse = (reason: string): GrpcError =>
    new GrpcError('INVALID_ARGUMENT', `node id "${id.slice(0, 200)}": ${reason}`);
  if (id.length > MAX_ID_LENGTH) throw refuse(`longer than ${MAX_ID_LENGTH} characters`);
  const [type, ipAddress = '', pod = '', dnsDomain = '', ...rest] = id.split('~');
  if (rest.length > 0 || dnsDomain === '') throw refuse('expected type~ip~name.namespace~domain');
  if (!isProxyType(type)) throw refuse(`the type is none of ${TYPES.join(', ')}`);
  if (isIP(ipAddress) === 0) throw refuse(`"${ipAddress}" is no IP address`);
  const metadata = node.metadata ?? {};
  // Names of pods may contain dots, those of namespaces may not.
  const dot = pod.lastIndexOf('.');
  const namespace = typeof metadata.NAMESPACE === 'string' && metadata.NAMESPACE !== '' ? metadata.NAMESPACE : '';
  if (dot < 0 && namespace === '') throw refuse('expected name.namespace as the third part');
  const version = node.userAgentBuildVersion?.version;
  return {
    id,
    cluster: node.cluster ?? '',
    type,
    ipAddress,
    podName: dot < 0 ? pod : pod.slice(0, dot),
    namespace: namespace === '' ? pod.slice(dot + 1) : namespace,
    dnsDomain,
    locality: {
      region: node.locality?.region ?? '',
      zone: node.locality?.zone ?? '',
      subzone: node.locality?.subZone ?? '',
    },
    metadata,
    envoyVersion:
      version === undefined
        ? undefined
        : { major: version.majorNumber ?? 0, minor: version.minorNumber ?? 0, patch: version.patch ?? 0 },
    identity,
  };
}

/** Envoy takes virtual hosts on the stream of everything else since this version; 1.40 is the one that this was seen with. */
const HOST_BY_HOST_SINCE = { major: 1, minor: 40 } as const;

/**
 * Whether a proxy on a delta stream gets its routes host by host: our agent says so of its Envoy (node metadata INCREMENTAL_ROUTES), and the Envoy has
 * to be new enough. Everybody else gets whole route configurations.
 */
export function takesRoutesHostByHost({ metadata, envoyVersion }: ProxyNode): boolean {
  if (metadata.INCREMENTAL_ROUTES !== 'true' || envoyVersion === undefined) return false;
  const { major, minor } = envoyVersion;
  return major > HOST_BY_HOST_SINCE.major || (major === HOST_BY_HOST_SINCE.major && minor >= HOST_BY_HOST_SINCE.minor);
}

/**
 * The one of the proved identities that may speak for the node: its namespace (and service account, where the node names
 * one) must be the node's, else a workload could ask for another's configuration and secrets.
 * Raises GrpcError UNAUTHENTICATED.
 */
export function matchIdentity(node: ProxyNode, identities: readonly string[]): string {
  const account = node.metadata.SERVICE_ACCOUNT;
  for (const uri of identities) {
    let identity: ReturnType<typeof parseSpiffe>;
    try {
      identity = parseSpiffe(uri);
    } catch (error) {
      if (error instanceof SpiffeError) continue;
      throw error;
    }
    if (identity.namespace !== node.namespace) continue;
    if (typeof account === 'string' && account !== '' && identity.serviceAccount !== account) continue;
    return uri;
  }
  throw new GrpcError(
    'UNAUTHENTICATED',
    `no identity of ${node.namespace}${typeof account === 'string' ? `/${account}` : ''} among: ${identities.join(', ')}`,
  );
}
