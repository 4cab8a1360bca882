import type { Cluster } from '../support/cluster.ts';
import type { PublishedRelease } from '../support/release.ts';
import type { Terminal } from '../support/terminal.ts';

/** What the reader of a tutorial has: an empty cluster, a terminal, and a place to download from. */
export interface Chapter {
  readonly cluster: Cluster;
  readonly release: PublishedRelease;
  /** In a folder of its own; the PATH has kubectl, and istioctl only once it was downloaded. */
  readonly terminal: Terminal;
  readonly version: string;
}
