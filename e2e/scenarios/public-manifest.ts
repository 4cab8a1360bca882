import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Cluster, givenKubeconfig } from '../support/cluster.ts';

const manifest = join(
  import.meta.dirname,
  '..',
  '..',
  '..',
  'shared',
  'data',
  'online-boutique',
  'kubernetes-manifests.yaml',
);

/** The public manifest of Online Boutique, unmodified. */
export function publicManifest(cluster: () => Cluster): void {
  test('the public manifest deploys as it is', {
    skip: existsSync(manifest) ? false : `${manifest} is not on this machine`,
  }, async () => {
    await cluster().kubectl('delete', 'ns', 'istio-app', 'whoami', 'inside', 'outside');
    await cluster().kubectl('create', 'ns', 'public');
    await cluster().kubectl('label', 'ns', 'public', 'istio-injection=enabled');
    await cluster().apply(readFileSync(manifest, 'utf8'), 'public');
    // The load generator's init container is pinned to the digest of a public image, which a cluster without access to registries cannot have.
    const [selector, count] = givenKubeconfig === undefined ? [undefined, 12] : ['app!=loadgenerator', 11];
    const pods = await cluster().podsReady('public', selector);
    assert.equal(pods.match(/2\/2\s+Running/g)?.length, count, pods);
  });
}
