import { readFileSync } from 'node:fs';
import type { Architecture } from '../debian/lock.ts';

/** The wheels that Envoy comes in, exactly as they were when the lock file was written. */
export interface EnvoyLock {
  readonly version: string;
  /** SHA-256 of each architecture's wheel. */
  readonly wheels: Readonly<Record<Architecture, string>>;
}

export const ENVOY_LOCK_FILE = new URL('../../generated/envoy-wheels.json', import.meta.url);

export const readEnvoyLock = (): EnvoyLock => JSON.parse(readFileSync(ENVOY_LOCK_FILE, 'utf8')) as EnvoyLock;
