import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';

/**
 * The Envoy that tests and generators run: `ENVOY_BINARY`, else the one that `scripts/prepare.mjs` installed, else the one on the PATH.
 * Undefined when there is none.
 */
export function findEnvoy(env: Readonly<Record<string, string | undefined>> = process.env): string | undefined {
  const installed = join(env.ISTIO_TS_HOME || join(homedir(), '.istio-ts'), 'envoy', 'envoy');
  const onPath = (env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'envoy'));
  return (env.ENVOY_BINARY ? [env.ENVOY_BINARY] : [installed, ...onPath]).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** A reason to skip a test that needs Envoy, false when there is one. */
export const withoutEnvoy: string | false =
  findEnvoy() === undefined && 'there is no Envoy: run node scripts/prepare.mjs or set ENVOY_BINARY';

/** The Envoy that tests run; throws when there is none. */
export function requireEnvoy(): string {
  const envoy = findEnvoy();
  if (envoy === undefined) throw new Error('there is no Envoy: run node scripts/prepare.mjs or set ENVOY_BINARY');
  return envoy;
}
