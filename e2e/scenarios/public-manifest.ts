import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';

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
    const pods = await cluster().podsReady('public');
    assert.equal(pods.match(/2\/2\s+Running/g)?.length, 12, pods);
  });
}
