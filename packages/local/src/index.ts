export {
  type ClusterComponent,
  type ClusterInfo,
  clusterLogs,
  ClusterStartError,
  type ClusterStatus,
  clusterStatus,
  downCluster,
  type UpOptions,
  upCluster,
} from './cluster/life-cycle.ts';
export { clusterLayout, DEFAULT_CLUSTER, distDirectory, findEnvoy, stateHome } from './cluster/layout.ts';
export { PreflightError } from './cluster/preflight.ts';
export type { ExecSession, NodeRuntime } from './node-runtime.ts';
