import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Chapter } from './chapter.ts';

/** The other way to get istioctl: the npm package, which brings the pinned Node and the local cluster's programs along. */
export function npmPackage(chapter: () => Chapter): void {
  test('npm install -g: istioctl with everything that belongs to it', async () => {
    const { terminal, release, version } = chapter();
    const prefix = join(terminal.folder, 'global');
    await terminal.type(
      `npm install --global --no-audit --no-fund --prefix ${prefix} ${join(release.folder, `istio-ts-${version}.tgz`)}`,
    );
    const type = (command: string) => terminal.type(`export PATH=${prefix}/bin:$PATH && ${command}`);
    assert.match(await type('istioctl version --remote=false'), new RegExp(`\\b${version}\\b`));
    assert.match(await type('istioctl profile list'), /^ +demo$/m);
    assert.match(await type('istioctl manifest generate --set profile=minimal'), /kind: Deployment[\s\S]*name: istiod/);
    // Its own cluster's programs are there too: there is just no cluster of this name.
    assert.match(await type('istioctl local status --name of-nobody || true'), /not there/);
  });
}
