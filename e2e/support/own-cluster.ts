import { after, before } from 'node:test';
import { type Cluster, startCluster } from './cluster.ts';

/**
 * Gives the tests of a `describe` a cluster of their own: started and prepared before them, gone after them. What it returns gives the cluster, and throws
 * where it did not start.
 */
export function ownCluster(prepare?: (cluster: Cluster) => Promise<void>): () => Cluster {
  let started: Cluster | undefined;
  before(async () => {
    started = await startCluster();
    await prepare?.(started);
  });
  after(async () => {
    await started?.down();
  });
  return () => {
    if (!started) throw new Error('the cluster did not start');
    return started;
  };
}
