// What the mesh does when parts of the cluster fail, with requests under way all the time.
import { describe } from 'node:test';
import { apiServerTests } from './robustness/api-server.ts';
import { fullDiskTests } from './robustness/full-disk.ts';
import { installMesh } from './robustness/mesh.ts';
import { replicaTests } from './robustness/replicas.ts';
import { stormTests } from './robustness/storm.ts';
import { watchTests } from './robustness/watches.ts';
import { webhookTests } from './robustness/webhooks.ts';
import { workloadTests } from './robustness/workloads.ts';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';

const reason = obstacle();

describe('robustness', { skip: reason ?? false }, () => {
  const cluster = ownCluster(installMesh);
  replicaTests(cluster);
  webhookTests(cluster);
  watchTests(cluster);
  apiServerTests(cluster);
  fullDiskTests(cluster);
  workloadTests(cluster);
  stormTests(cluster);
});
