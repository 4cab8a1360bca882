import type { ConfigSource, SdsSecretConfig } from '@istio-ts/envoy';
import { SDS_CLUSTER } from '../names.ts';

/** Where a proxy asks for the secrets that its agent serves: `default`, the workload's certificate, and `ROOTCA`, what it trusts. */
export const AGENT_SECRETS: ConfigSource = {
  apiConfigSource: {
    apiType: 'GRPC',
    transportApiVersion: 'V3',
    grpcServices: [{ envoyGrpc: { clusterName: SDS_CLUSTER } }],
    setNodeOnFirstMessageOnly: true,
  },
  initialFetchTimeout: '0s',
  resourceApiVersion: 'V3',
};

/**
 * A secret that the agent reads from files of its container, and sends anew when they change: `file-cert:CHAIN~KEY` or `file-root:FILE`. Files that are not
 * there must not keep everything else waiting: TLS that needs them fails until they come.
 */
export const fileSecret = (name: string): SdsSecretConfig => ({
  name,
  sdsConfig: { ...AGENT_SECRETS, initialFetchTimeout: '2s' },
});
