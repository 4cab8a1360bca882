import type { Architecture } from '../debian/lock.ts';

/** A program that is not built here. */
export interface ForeignProgram {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Package URL (purl) of what it came in. */
  readonly purl: string;
  readonly read: () => Buffer;
  readonly licence: Buffer | undefined;
}

/** What images are made of besides Debian's packages. */
export interface Sources {
  /** Folder with the built programs: `bin` and `data`. */
  readonly dist: string;
  readonly node: (architecture: Architecture) => Promise<ForeignProgram>;
  readonly envoy: (architecture: Architecture) => Promise<ForeignProgram>;
}
