import { after, before, describe } from 'node:test';
import { accessLogs } from './observability/access-logs.ts';
import { accessLogsInLoki } from './observability/loki.ts';
import { metricsTasks } from './observability/metrics.ts';
import { type Cluster, obstacle, startCluster } from './support/cluster.ts';
import { type Mesh, startMesh } from './tasks/mesh.ts';

const reason = obstacle();

describe('tasks of the documentation of observability', { skip: reason ?? false }, () => {
  let cluster: Cluster | undefined;
  let mesh: Mesh | undefined;
  before(async () => {
    cluster = await startCluster();
    mesh = await startMesh(cluster);
    await mesh.applySamples('curl/curl.yaml', 'httpbin/httpbin.yaml', 'tcp-echo/tcp-echo.yaml');
    await cluster.podsReady('default');
  });
  after(() => cluster?.down());
  const started = (): Mesh => {
    if (!mesh) throw new Error('the mesh did not start');
    return mesh;
  };
  accessLogs(started);
  accessLogsInLoki(started);
  metricsTasks(started);
});
