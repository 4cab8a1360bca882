import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { decode, type DeltaDiscoveryRequest, encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc';
import { createCsr, generatePrivateKey } from '@istio-ts/security';
import type { RunningIstiod } from './istiod.test-support.ts';

const SERVER = 'istiod.istio-system.svc';

/** What a client proves itself with. */
export interface Proof {
  readonly token?: string;
  readonly key?: string;
  readonly cert?: string;
}

export const csrOf = (key: KeyObject = generatePrivateKey()): string => createCsr(key, []);

const channelTo = (istiod: RunningIstiod, root: string, proof: Proof) =>
  openGrpcChannel({
    kind: 'tls',
    host: '127.0.0.1',
    port: istiod.ports.secureGrpc,
    serverName: SERVER,
    tls: { ca: root, key: proof.key, cert: proof.cert },
  });

const metadataOf = ({ token }: Proof): Record<string, string> =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };

/** Asks istiod for a certificate; gives the chain of the answer. */
export async function askCertificate(
  istiod: RunningIstiod,
  root: string,
  proof: Proof,
  request: { readonly csr?: string; readonly validityDuration?: number; readonly metadata?: object } = {},
): Promise<readonly string[]> {
  const channel = channelTo(istiod, root, proof);
  try {
    const bytes = await channel.unary(
      '/istio.v1.auth.IstioCertificateService/CreateCertificate',
      encode('istio.v1.auth.IstioCertificateRequest', { csr: csrOf(), ...request } as { csr: string }),
      { metadata: metadataOf(proof) },
    );
    return decode('istio.v1.auth.IstioCertificateResponse', bytes).certChain ?? [];
  } finally {
    channel.close();
  }
}

/** Connects as the proxy of a pod and asks for clusters; gives how many it got. */
export async function askClusters(
  istiod: RunningIstiod,
  root: string,
  proof: Proof,
  node: { readonly namespace: string; readonly serviceAccount?: string },
): Promise<number> {
  const channel = channelTo(istiod, root, proof);
  try {
    const stream = await channel.stream(
      '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      { metadata: metadataOf(proof) },
    );
    const request: DeltaDiscoveryRequest = {
      node: {
        id: `sidecar~10.0.0.9~a.${node.namespace}~${node.namespace}.svc.cluster.local`,
        metadata: { NAMESPACE: node.namespace, SERVICE_ACCOUNT: node.serviceAccount ?? '' },
      },
      typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
      resourceNamesSubscribe: ['*'],
    } as DeltaDiscoveryRequest;
    await stream.write(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', request));
    const { value, done } = await stream.messages().next();
    stream.cancel();
    if (done) throw new Error('the stream ended without an answer');
    return decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', value).resources?.length ?? 0;
  } finally {
    channel.close();
  }
}

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

export type Signature = (text: Buffer) => Buffer;
export const rs256 =
  (key: KeyObject): Signature =>
  (text) =>
    sign('sha256', text, key);
export const hs256 =
  (secret: string): Signature =>
  (text) =>
    createHmac('sha256', secret).update(text).digest();

export function signToken(header: object, claims: object, signature: Signature): string {
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${signature(Buffer.from(text)).toString('base64url')}`;
}

/** Header and claims of a token, to make others like it. */
export function tokenParts(token: string): { readonly header: object; readonly claims: Record<string, unknown> } {
  const [header = '', claims = ''] = token.split('.');
  const read = (text: string) => JSON.parse(Buffer.from(text, 'base64url').toString());
  return { header: read(header), claims: read(claims) };
}

/** The key that the cluster signs its tokens with. */
export function clusterTokenKey(istiod: RunningIstiod): { readonly key: KeyObject; readonly publicPem: string } {
  const key = createPrivateKey(readFileSync(join(istiod.api.directory, 'state/sa.key'), 'utf8'));
  return { key, publicPem: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString() };
}

/** An issuer of tokens with an OpenID configuration, on a loopback port. */
export interface TestIssuer {
  readonly url: string;
  /** Times that its keys were fetched. */
  readonly fetches: () => number;
  token(claims: object): string;
  /** New keys, unknown to who fetched before. */
  rotate(): void;
  close(): Promise<void>;
}

export async function startIssuer(): Promise<TestIssuer> {
  let generation = 0;
  let keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
  let fetches = 0;
  let url = '';
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url === '/.well-known/openid-configuration')
      response.end(JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }));
    else if (request.url === '/keys') {
      fetches++;
      const key = { ...keys.publicKey.export({ format: 'jwk' }), kid: `key-${generation}`, use: 'sig', alg: 'RS256' };
      response.end(JSON.stringify({ keys: [key] }));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    fetches: () => fetches,
    token: (claims) => {
      const now = Math.floor(Date.now() / 1000);
      const whole = { iss: url, aud: ['istio-ca'], iat: now, exp: now + 600, ...claims };
      return signToken({ alg: 'RS256', kid: `key-${generation}` }, whole, rs256(keys.privateKey));
    },
    rotate: () => {
      generation++;
      keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
    },
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
