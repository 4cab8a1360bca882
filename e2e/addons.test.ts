import { describe } from 'node:test';
import { canaryInPrometheus } from './observe/canary.ts';
import { addonChapters } from './observe/chapters.ts';
import { consoleInBrowser } from './observe/console.ts';
import { kiali } from './observe/kiali.ts';
import { boutique } from './scenarios/boutique.ts';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';

const reason = obstacle();

describe('addons and the console', { skip: reason ?? false }, () => {
  const started = ownCluster(async (cluster) => {
    await cluster.istioctl('install', '--set', 'profile=demo', '-y');
  });
  addonChapters(started);
  kiali(started);
  boutique(started);
  canaryInPrometheus(started);
  consoleInBrowser(started);
});
