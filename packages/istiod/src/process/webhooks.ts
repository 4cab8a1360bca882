import type { TrustBundle } from '@istio-ts/injector';
import type { Mesh } from '@istio-ts/mesh';
import { createInjectionHandler, watchInjectorConfig } from '../admission/inject.ts';
import { watchSurroundings } from '../admission/surroundings.ts';
import { createValidationHandler } from '../admission/validate.ts';
import type { HttpServersOptions } from '../http/servers.ts';
import type { Ground } from './ground.ts';

/** What istiod answers the API server, and the watches of what these answers depend on. */
export interface Webhooks extends Pick<HttpServersOptions, 'inject' | 'validate'> {
  /** What answers depend on is known. */
  readonly synced: Promise<unknown>;
  readonly close: () => void;
}

export function createWebhooks(
  { settings, client, logger, metrics }: Ground,
  mesh: Pick<Mesh, 'config'>,
  trustBundle: () => TrustBundle,
): Webhooks {
  const log = logger('injector', 'Injection of sidecars and gateways');
  const injector = watchInjectorConfig(
    client,
    { namespace: settings.namespace, name: settings.injectorConfigMapName },
    log,
  );
  const surroundings = watchSurroundings(client, settings.nativeSidecars, log, trustBundle);
  return {
    inject: createInjectionHandler({
      config: injector.current,
      meshConfig: () => mesh.config.current,
      surroundings: surroundings.of,
      revision: settings.revision,
      metrics,
      log,
    }),
    validate: createValidationHandler(metrics),
    synced: Promise.all([injector.synced, surroundings.synced]),
    close: () => {
      injector.close();
      surroundings.close();
    },
  };
}
