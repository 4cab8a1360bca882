import { setTimeout as sleep } from 'node:timers/promises';
import { trustDomainOf } from '@istio-ts/mesh';
import { startTokenKeys } from '../jwks/start.ts';
import type { Settings } from '../settings.ts';
import { publishAnchors } from './anchors.ts';
import { startCertificates } from './certificates.ts';
import { startControllers } from './controllers.ts';
import { createGround } from './ground.ts';
import { createModel } from './model.ts';
import { createPorts } from './ports.ts';
import { createProxyServices } from './proxies.ts';
import { startWatches } from './watches.ts';
import { createWebhooks } from './webhooks.ts';

/** How long proxies wait for the first keys of tokens. */
const firstKeysMs = 10_000;

/** A running control plane. */
export interface Discovery {
  /** Ends everything: streams are told to reconnect, requests under way get `graceMs` to end. */
  close(graceMs: number): Promise<void>;
}

/**
 * Starts the control plane: watches the cluster, keeps the mesh model and every proxy's configuration current, signs certificates, answers the
 * webhooks. Resolves when all ports listen; `/ready` says when the first configuration is complete. While the cluster cannot be reached or the CA's
 * secret cannot be used it says so and tries again. Rejects for settings that cannot work: no kubeconfig, or a port that cannot be opened.
 */
export async function startDiscovery(
  settings: Settings,
  env: Readonly<Record<string, string | undefined>>,
  args: readonly string[],
): Promise<Discovery> {
  const ground = createGround(settings, env);
  const { logger, log, metrics } = ground;
  const model = createModel(ground);
  const { sources, mesh, engine } = model;
  const certificates = await startCertificates(ground, model);

  let synced = false;
  let anchors: ReturnType<typeof publishAnchors> | undefined;
  let notReady: string | undefined = 'the first list of the cluster is not complete';
  const proxies = createProxyServices(ground, model, certificates, () => synced);
  const webhooks = createWebhooks(ground, mesh, () => anchors?.trustBundle() ?? 'absent');
  const ports = createPorts(ground, {
    mesh,
    certificates,
    proxies,
    webhooks,
    notReady: () => notReady,
    args,
    env,
  });
  const watches = startWatches(ground, model, proxies.observe);

  // Health and metrics answer at once; proxies are let in when their configuration is complete, so that none ever sees half of it.
  await ports.openForPeople();
  await Promise.all([watches.synced, webhooks.synced]);
  certificates.startTrust();
  const tokenKeys = startTokenKeys(mesh, sources, settings.tokenKeys, {
    metrics,
    log: logger('jwks', 'Keys that tokens are checked with'),
  });
  // Proxies have keys of an earlier istiod, which are better than none.
  await Promise.race([tokenKeys.firstRound, sleep(firstKeysMs, undefined, { ref: false })]);
  synced = true;
  watches.startReports();
  // Only now it is known which other authorities the mesh configuration names.
  if (certificates.identities.externalRoots() !== '') ports.renewForProxies();
  await ports.openForMesh();
  notReady = undefined;
  log.info(
    `ready after ${Math.round(ground.uptimeMs())} ms: ${mesh.services.size} services, ${mesh.workloads.size} workloads, trust domain ${trustDomainOf(mesh.config.current)}`,
  );
  anchors = publishAnchors(ground, model, certificates, ports.renew);
  const controllers = startControllers(ground, model);

  return {
    close: async (graceMs) => {
      notReady = 'shutting down';
      anchors?.close();
      certificates.close();
      controllers.close();
      tokenKeys.close();
      proxies.close();
      watches.close();
      webhooks.close();
      await ports.close(graceMs);
      engine.close();
      ground.close();
    },
  };
}
