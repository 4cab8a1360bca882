import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe } from 'node:test';
import { VERSION } from '@istio-ts/api/version';
import type { Chapter } from './chapters/chapter.ts';
import { cni } from './chapters/cni.ts';
import { helmRepository } from './chapters/helm-repository.ts';
import { kubectlAlone } from './chapters/kubectl-alone.ts';
import { npmPackage } from './chapters/npm-package.ts';
import { profiles } from './chapters/profiles.ts';
import { settings } from './chapters/settings.ts';
import { type Cluster, obstacle, startCluster } from './support/cluster.ts';
import { type PublishedRelease, publishRelease } from './support/release.ts';
import { openTerminal } from './support/terminal.ts';

const root = join(import.meta.dirname, '..');
const reason = obstacle();

/** The installation chapters of five tutorials on Istio, command for command, with what a release has; and the npm package. */
const chapters = [kubectlAlone, profiles, helmRepository, settings, cni, npmPackage];

describe('tutorials, from the download on', { skip: reason ?? false }, () => {
  let cluster: Cluster | undefined;
  let release: PublishedRelease | undefined;
  before(async () => {
    release = await publishRelease();
    cluster = await startCluster();
  });
  after(async () => {
    await cluster?.down();
    release?.close();
  });
  for (const chapter of chapters)
    describe(chapter.name, () => {
      let folder = '';
      let current: Chapter | undefined;
      before(() => {
        if (cluster === undefined || release === undefined) throw new Error('the cluster did not start');
        folder = mkdtempSync(join(tmpdir(), 'istio-ts-chapter-'));
        // The reader has no istioctl yet, and this repository's must not stand in for it.
        const path = (cluster.env.PATH ?? '').split(delimiter).filter((part) => part !== join(root, 'bin'));
        const env = { ...cluster.env, HOME: folder, PATH: path.join(delimiter) };
        current = { cluster, release, version: VERSION, terminal: openTerminal(folder, env) };
      });
      after(async () => {
        // Whatever a chapter left behind, the next reader begins with an empty cluster.
        await cluster?.tryIstioctl('uninstall', '--purge', '-y');
        await cluster?.tryKubectl('delete', 'namespace', 'istio-system', 'istio-app', 'meshed', '--ignore-not-found');
        rmSync(folder, { recursive: true, force: true });
      });
      chapter(() => {
        if (!current) throw new Error('the chapter did not begin');
        return current;
      });
    });
});
