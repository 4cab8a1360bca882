import { after, before, describe } from 'node:test';
import { access } from './scenarios/traffic/access.ts';
import { destination } from './scenarios/traffic/destination.ts';
import { external } from './scenarios/traffic/external.ts';
import { gatewayTls } from './scenarios/traffic/gateway-tls.ts';
import { patches } from './scenarios/traffic/patches.ts';
import { protocols } from './scenarios/traffic/protocols.ts';
import { rejected } from './scenarios/traffic/rejected.ts';
import { rollout } from './scenarios/traffic/rollout.ts';
import { routing } from './scenarios/traffic/routing.ts';
import { startWorld, type World } from './scenarios/traffic/world.ts';
import { type Cluster, obstacle, startCluster } from './support/cluster.ts';

const reason = obstacle();

describe('traffic in the mesh, seen by clients', { skip: reason ?? false }, () => {
  let cluster: Cluster | undefined;
  let world: World | undefined;
  before(async () => {
    cluster = await startCluster();
    world = await startWorld(cluster);
  });
  after(async () => {
    world?.close();
    await cluster?.down();
  });
  const started = (): World => {
    if (!world) throw new Error('the world did not start');
    return world;
  };
  routing(started);
  gatewayTls(started);
  destination(started);
  external(started);
  protocols(started);
  access(started);
  rollout(started);
  rejected(started);
  patches(started);
});
