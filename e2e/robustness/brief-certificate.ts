// A pod whose certificate lives for seconds, so that a test can see it end.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import type { Cluster } from '../support/cluster.ts';
import { deployment, list, service } from './mesh.ts';

export const BRIEF_TTL_MS = 40_000;

/** Makes the Deployment and Service `brief`: its sidecar asks for certificates of 40 s. */
export async function startBrief({ apply, podsReady }: Cluster): Promise<void> {
  await apply(
    list(
      service('brief'),
      deployment('brief', 1, {
        annotations: { 'proxy.istio.io/config': JSON.stringify({ proxyMetadata: { SECRET_TTL: '40s' } }) },
      }),
      // Connections that are there live on when a certificate ends: each request is to be a handshake of its own.
      {
        apiVersion: 'networking.istio.io/v1',
        kind: 'DestinationRule',
        metadata: { name: 'brief' },
        spec: {
          host: 'brief.default.svc.cluster.local',
          trafficPolicy: { connectionPool: { http: { maxRequestsPerConnection: 1 } } },
        },
      },
    ),
  );
  await podsReady('default', 'app=brief');
}

export const stopBrief = ({ kubectl }: Cluster): Promise<string> =>
  kubectl('delete', 'deployment/brief', 'service/brief', 'destinationrule/brief', '--wait=false');

/** What the Envoy of the pod shows to others. */
export async function certificateOf({ istioctl }: Cluster, pod: string): Promise<X509Certificate> {
  const { dynamicActiveSecrets } = JSON.parse(
    await istioctl('proxy-config', 'secret', `${pod}.default`, '-o', 'json'),
  ) as {
    readonly dynamicActiveSecrets: readonly {
      readonly name: string;
      readonly secret: { readonly tlsCertificate?: { readonly certificateChain: { readonly inlineBytes: string } } };
    }[];
  };
  const bytes = dynamicActiveSecrets.find(({ name }) => name === 'default')?.secret.tlsCertificate?.certificateChain;
  assert.ok(bytes, 'the proxy has no certificate');
  return new X509Certificate(Buffer.from(bytes.inlineBytes, 'base64'));
}
