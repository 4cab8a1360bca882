import type { Architecture } from '../debian/lock.ts';
import type { Executable } from '../programs.ts';
import type { Library } from './libraries.ts';

/** A program that is not built here. */
export interface ForeignProgram {
  readonly name: string;
  readonly version: string;
  /** Package URL of what it came in. */
  readonly purl: string;
  /** SPDX name of its licence. */
  readonly licenceName: string;
  /** Of the package it came in. */
  readonly sha256: string;
  readonly read: () => Buffer;
  readonly licence: () => Buffer | undefined;
}

/** An executable that is packed when it is needed. */
export interface PackedProgram {
  /** Checksums of all it depends on. */
  readonly inputs: readonly string[];
  readonly build: () => Promise<Buffer>;
  readonly libraries: readonly Library[];
}

/** What images are made of besides Debian's packages. */
export interface Sources {
  /** Folder with the built programs: `bin` and `data`. */
  readonly dist: string;
  readonly node: (architecture: Architecture) => ForeignProgram;
  readonly envoy: (architecture: Architecture) => ForeignProgram;
  /** Programs of this project in the given Node binary. */
  readonly executable: (executable: Executable, node: ForeignProgram) => Promise<PackedProgram>;
  /** Libraries that bundles contain. */
  readonly libraries: (programs: readonly string[]) => Promise<readonly Library[]>;
}
