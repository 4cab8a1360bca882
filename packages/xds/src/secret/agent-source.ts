import type { ConfigSource } from '@istio-ts/envoy';
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
