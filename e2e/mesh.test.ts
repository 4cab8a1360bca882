import { describe } from 'node:test';
import { badInput } from './scenarios/bad-input.ts';
import { boutique } from './scenarios/boutique.ts';
import { canary } from './scenarios/canary.ts';
import { installation } from './scenarios/installation.ts';
import { metrics } from './scenarios/metrics.ts';
import { mutualTls } from './scenarios/mutual-tls.ts';
import { publicManifest } from './scenarios/public-manifest.ts';
import { resilience } from './scenarios/resilience.ts';
import { whoami } from './scenarios/whoami.ts';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';

// One cluster for all scenarios: they run one after the other, each in namespaces of its own.
const reason = obstacle();

describe('a mesh on a bare machine', { skip: reason ?? false }, () => {
  const started = ownCluster();
  installation(started);
  boutique(started);
  canary(started);
  metrics(started);
  mutualTls(started);
  whoami(started);
  badInput(started);
  resilience(started);
  publicManifest(started);
});
