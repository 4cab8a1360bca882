import { after, before, describe } from 'node:test';
import { type Cluster, obstacle, startCluster } from './support/cluster.ts';
import { bookinfo } from './tasks/bookinfo.ts';
import { egress, startOutside } from './tasks/egress.ts';
import { egressNames } from './tasks/egress-names.ts';
import { ingress } from './tasks/ingress.ts';
import { locality } from './tasks/locality.ts';
import { type Mesh, startMesh } from './tasks/mesh.ts';
import { resilience } from './tasks/resilience.ts';
import { sidecarTls } from './tasks/sidecar-tls.ts';
import { tcpShifting } from './tasks/tcp.ts';

const reason = obstacle();

/** httpbin in a second version, as the task about mirroring has it. */
const httpbinV2 = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: httpbin-v2
spec:
  selector:
    matchLabels: {app: httpbin, version: v2}
  template:
    metadata:
      labels: {app: httpbin, version: v2}
    spec:
      containers:
        - name: httpbin
          image: docker.io/kennethreitz/httpbin
          imagePullPolicy: IfNotPresent
          ports:
            - containerPort: 80
`;

describe('tasks of the documentation of traffic management', { skip: reason ?? false }, () => {
  let cluster: Cluster | undefined;
  let mesh: Mesh | undefined;
  before(async () => {
    cluster = await startCluster();
    const started = await startMesh(cluster);
    mesh = started;
    await started.applySamples(
      'bookinfo/platform/kube/bookinfo.yaml',
      'curl/curl.yaml',
      'httpbin/httpbin.yaml',
      'httpbin/sample-client/fortio-deploy.yaml',
      'tcp-echo/tcp-echo-services.yaml',
      'helloworld/helloworld-localities.yaml',
    );
    await started.apply(httpbinV2);
    // Where the client is, for locality load balancing.
    await cluster.kubectl(
      ...['patch', 'deploy/curl', '-p'],
      '{"spec":{"template":{"metadata":{"labels":{"istio-locality":"region1.zone1"}}}}}',
    );
    await startOutside(started);
    await cluster.podsReady('default');
  });
  after(() => cluster?.down());
  const started = (): Mesh => {
    if (!mesh) throw new Error('the mesh did not start');
    return mesh;
  };
  bookinfo(started);
  tcpShifting(started);
  resilience(started);
  locality(started);
  ingress(started);
  sidecarTls(started);
  egress(started);
  egressNames(started);
});
