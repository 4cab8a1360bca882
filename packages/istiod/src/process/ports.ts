import { VERSION } from '@istio-ts/api';
import { type Mesh, trustDomainOf } from '@istio-ts/mesh';
import { createGrpcServers } from '../grpc/servers.ts';
import { controlZRoutes } from '../http/controlz.ts';
import { createHttpServer } from '../http/server.ts';
import { createHttpServers } from '../http/servers.ts';
import type { ListenAddress } from '../setting-values.ts';
import type { Certificates } from './certificates.ts';
import type { Ground } from './ground.ts';
import type { ProxyServices } from './proxies.ts';
import type { Webhooks } from './webhooks.ts';

/** All servers of istiod. */
export interface Ports {
  /** Opens those that answer before the configuration is complete: health, debug, metrics, introspection. */
  readonly openForPeople: () => Promise<void>;
  /** Opens those of proxies and of the API server. */
  readonly openForMesh: () => Promise<void>;
  /** Shows proxies istiod's certificate as it is now. */
  readonly renewForProxies: () => void;
  /** Shows proxies and the API server istiod's certificate as it is now. */
  readonly renew: () => void;
  /** Requests under way get `graceMs` to end. */
  readonly close: (graceMs: number) => Promise<void>;
}

export interface PortsOptions {
  readonly mesh: Pick<Mesh, 'config'>;
  readonly certificates: Certificates;
  readonly proxies: ProxyServices;
  readonly webhooks: Webhooks;
  /** Why istiod cannot serve yet; undefined when it can. */
  readonly notReady: () => string | undefined;
  /** How the process was started, which the introspection service shows. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Port-forwarding looks for a listener at 127.0.0.1 first, in some container runtimes nowhere else; the system may say that localhost is ::1. */
const at = ({ host, port }: ListenAddress) => ({
  port,
  ...(host !== '' && { host: host === 'localhost' ? '127.0.0.1' : host }),
});

/** Makes the servers, which listen when they are told to. */
export function createPorts({ settings, logger, metrics, scopes, uptimeMs }: Ground, options: PortsOptions): Ports {
  const { mesh, certificates, proxies, webhooks, notReady, args, env } = options;
  const { serverTls } = certificates;
  const http = createHttpServers({
    notReady,
    runDebug: proxies.runDebug,
    metrics,
    version: VERSION,
    get trustDomain() {
      return trustDomainOf(mesh.config.current);
    },
    authenticateToken: certificates.identities.authenticateToken,
    webhookTls: serverTls(),
    inject: webhooks.inject,
    validate: webhooks.validate,
    log: logger('http', 'Webhooks, health, metrics and debug endpoints'),
  });
  const controlZ = createHttpServer({
    routes: controlZRoutes({ version: VERSION, args, env, scopes, uptimeSeconds: () => uptimeMs() / 1000 }),
    log: logger('controlz', 'This introspection service'),
  });
  const grpc = createGrpcServers({
    discovery: proxies.discovery,
    certificates: settings.signsCertificates ? proxies.certificates : {},
    tls: serverTls(),
    keepaliveMs: settings.keepaliveMs,
    log: logger('grpc', 'gRPC servers of proxies and certificates'),
  });
  return {
    openForPeople: async () => {
      await Promise.all([
        http.debug.listen(at(settings.http)),
        http.monitoring.listen(at(settings.monitoring)),
        controlZ.listen(at(settings.controlZ)),
      ]);
    },
    openForMesh: async () => {
      await Promise.all([
        http.webhooks.listen(at(settings.https)),
        grpc.plain.listen(at(settings.grpc)),
        grpc.secure.listen(at(settings.secureGrpc)),
      ]);
    },
    renewForProxies: () => grpc.secure.setTls(serverTls()),
    renew: () => {
      const tls = serverTls();
      grpc.secure.setTls(tls);
      http.webhooks.setTls(tls);
    },
    close: async (graceMs) => {
      const servers = [grpc.plain, grpc.secure, http.webhooks, http.debug, http.monitoring, controlZ];
      await Promise.all(servers.map((server) => server.close(graceMs)));
    },
  };
}
