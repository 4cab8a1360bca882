import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { decode, encode } from '@istio-ts/envoy';
import { GrpcError, type GrpcTarget, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { KubeApiError } from '@istio-ts/kube';
import { CliError, unreadable } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import type { XdsFlags } from '../cli/xds-options.ts';

/** Type of istiod's debug commands over xDS; their names are the resources (istio-surface.md, Debug endpoints). */
const debugType = 'istio.io/debug';
const streamPath = '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources';
const defaultPort = 15012;
/** Audience of the tokens that istiod takes. */
const audience = 'istio-ca';

/** What one istiod said. */
export interface Answer {
  readonly istiod: string;
  readonly body: string;
  /** Its version, where it told that too. */
  readonly version?: string;
}

/** Where to ask: an address, and the name that its certificate must carry when that is another. */
export interface XdsServer {
  readonly host: string;
  readonly port: number;
  readonly serverName?: string;
}

/** Reads HOST[:PORT], also with an IPv6 address in brackets. Raises CliError. */
export function parseXdsAddress(address: string): XdsServer {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw new CliError(`--xds-address: "${address}" is not HOST or HOST:PORT`);
  return { host, port: port === undefined ? defaultPort : Number(port) };
}

function readCertificate(folder: string, name: string): string {
  try {
    return readFileSync(join(folder, name), 'utf8');
  } catch (error) {
    throw new CliError(`--cert-dir ${folder}: ${name}: ${unreadable(error)}`);
  }
}

/** The root of the mesh's certificates as the cluster publishes it, where there is a cluster that can be asked. */
async function meshRoot(session: Session): Promise<string | undefined> {
  try {
    const map = await session
      .client()
      .get(kubernetesTypes.ConfigMap, 'istio-ca-root-cert', session.flags.istioNamespace);
    return (map.data as Readonly<Record<string, string>> | undefined)?.['root-cert.pem'];
  } catch {
    // No cluster, or no right to read it: the roots that Node brings decide.
    return undefined;
  }
}

async function tlsOptions(session: Session, flags: XdsFlags): Promise<ConnectionOptions> {
  const check = flags.insecure ? { rejectUnauthorized: false } : {};
  if (flags.certDir !== undefined)
    return {
      cert: readCertificate(flags.certDir, 'cert-chain.pem'),
      key: readCertificate(flags.certDir, 'key.pem'),
      ca: readCertificate(flags.certDir, 'root-cert.pem'),
      ...check,
    };
  const ca = flags.insecure ? undefined : await meshRoot(session);
  return { ...(ca !== undefined && { ca }), ...check };
}

/** A token of the control plane namespace's default service account: who may make one may ask istiod everything. Undefined when there is no cluster to make it. */
async function token(session: Session): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${session.flags.istioNamespace}/serviceaccounts/default/token`;
  try {
    const made = (await session.client().request('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [audience], expirationSeconds: 3600 },
    })) as { readonly status?: { readonly token?: string } };
    return made.status?.token;
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 403)
      throw new CliError(
        `istiod asks who you are, and you may not make a token in namespace ${session.flags.istioNamespace} (${error.message}): give certificates with --cert-dir`,
      );
    return undefined;
  }
}

/** Asks an istiod a debug command over xDS, for example `syncz`. Raises CliError. */
export async function askOverXds(
  session: Session,
  flags: XdsFlags,
  server: XdsServer,
  command: string,
  timeoutMs: number,
): Promise<Answer> {
  const { host, port } = server;
  const serverName = flags.authority ?? server.serverName;
  const bearer = flags.plaintext || flags.certDir !== undefined ? undefined : await token(session);
  const target: GrpcTarget = flags.plaintext
    ? { kind: 'tcp', host, port }
    : {
        kind: 'tls',
        host,
        port,
        tls: await tlsOptions(session, flags),
        ...(serverName !== undefined && { serverName }),
      };
  const channel = openGrpcChannel(target, { connectTimeoutMs: timeoutMs });
  try {
    const stream = await channel.stream(streamPath, {
      timeoutMs,
      ...(bearer !== undefined && { metadata: { authorization: `Bearer ${bearer}` } }),
    });
    await stream.write([
      encode('envoy.service.discovery.v3.DiscoveryRequest', {
        node: { id: `sidecar~0.0.0.0~istioctl~${session.flags.istioNamespace}.svc.cluster.local` },
        typeUrl: debugType,
        resourceNames: [command],
      }),
    ]);
    for await (const message of stream.messages()) return readAnswer(message, `${host}:${port}`);
    throw new CliError(`istiod at ${host}:${port} ended the stream without an answer to ${command}`);
  } catch (error) {
    if (error instanceof GrpcError) throw new CliError(explain(error, `${host}:${port}`, flags));
    throw error;
  } finally {
    channel.close();
  }
}

function readAnswer(message: Uint8Array, where: string): Answer {
  const { resources = [], controlPlane } = decode('envoy.service.discovery.v3.DiscoveryResponse', message);
  const first = resources[0] as { readonly value?: string } | undefined;
  const { name, version } = identityOf(controlPlane?.identifier);
  return {
    istiod: name ?? where,
    body: Buffer.from(first?.value ?? '', 'base64').toString('utf8'),
    ...(version !== undefined && { version }),
  };
}

/** Who answered: `{"Component":"istiod","ID":"istiod-…","Info":{"version":"…"}}`. */
function identityOf(identifier: string | undefined): { readonly name?: string; readonly version?: string } {
  try {
    const { ID: id, Info: info } = JSON.parse(identifier ?? '') as {
      readonly ID?: unknown;
      readonly Info?: { readonly version?: unknown };
    };
    return {
      ...(typeof id === 'string' && id !== '' && { name: id }),
      ...(typeof info?.version === 'string' && { version: info.version }),
    };
  } catch {
    // Not JSON: some other control plane.
    return {};
  }
}

function explain(error: GrpcError, where: string, flags: XdsFlags): string {
  const said = `istiod at ${where}: ${error.message}`;
  if (/self[- ]signed|unable to (get|verify)|altnames|certificate/i.test(error.message))
    return `${said}; give the roots with --cert-dir, the name in its certificate with --authority, or --insecure to skip the check`;
  if (error.status === 'PERMISSION_DENIED' || error.status === 'UNAUTHENTICATED')
    return `${said}; only identities of the control plane's namespace may ask: ${flags.plaintext ? 'leave --plaintext out' : 'give certificates with --cert-dir'}`;
  return said;
}
