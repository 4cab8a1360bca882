import { chmodSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { ObjectStore } from '../store/object-store.ts';
import { AdmissionChain } from './admission/chain.ts';
import { Authenticator } from './auth/authenticator.ts';
import { loadCredentials } from './auth/credentials.ts';
import { EscalationGuard } from './auth/escalation.ts';
import { Authorizer } from './auth/rbac.ts';
import { SignerGuard } from './auth/signers.ts';
import { TokenAuthority } from './auth/tokens.ts';
import type { User } from './auth/user.ts';
import { bootstrap, keepNamespacesFurnished } from './bootstrap/bootstrap.ts';
import { keepRolesAggregated } from './bootstrap/role-aggregation.ts';
import { CustomResources } from './custom/custom-resources.ts';
import { expireEvents } from './garbage/event-expiry.ts';
import { startGarbageCollection } from './garbage/garbage.ts';
import { Handler } from './http/handler.ts';
import { sendError } from './http/respond.ts';
import { KindRules } from './kinds/rules.ts';
import { ServiceAllocator } from './kinds/services.ts';
import { Operations, type OperationsOptions } from './operations/operations.ts';
import type { ApiServer, ApiServerOptions, Listen } from './options.ts';
import { ResourceRegistry } from './registry.ts';
import { specialHandlers } from './special/special.ts';
import { Upgrades } from './streaming/upgrades.ts';

const LOCAL_SANS = [
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
  'localhost',
  '127.0.0.1',
];

function firstAddress(cidr: string): string {
  const parts = (cidr.split('/')[0] ?? '').split('.').map(Number);
  parts[3] = (parts[3] ?? 0) + 1;
  return parts.join('.');
}

/** Starts the API server; resolves when every place of `options.listen` accepts connections. Rejects when the state cannot be read or an address is taken. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const { stateDir, runtime, serviceCidr, log } = options;
  const now = options.now ?? Date.now;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  chmodSync(stateDir, 0o700);
  const sans = [...new Set([...LOCAL_SANS, firstAddress(serviceCidr), ...options.certSans])];
  const credentials = loadCredentials(stateDir, sans, new Date(now()));
  const store = new ObjectStore(join(stateDir, 'cluster.sqlite'));
  const registry = new ResourceRegistry();
  const custom = new CustomResources(store, registry, now);
  const rules = new KindRules(registry, new ServiceAllocator(store, serviceCidr), custom);
  const admission = new AdmissionChain({ store, registry, dialService: options.dialService, log });
  const authorizer = new Authorizer(store);
  const escalation = new EscalationGuard(store, authorizer);
  const signers = new SignerGuard(authorizer);
  const guard: OperationsOptions['guard'] = (...write) => {
    escalation.check(...write);
    signers.check(...write);
  };
  const operations = new Operations({ store, registry, rules, admission, guard, now });
  const tokens = new TokenAuthority(credentials.serviceAccountKey, store, now);
  const authenticator = new Authenticator(tokens);
  custom.start(operations, log);
  const special = specialHandlers({
    operations,
    authorizer,
    tokens,
    runtime,
    dialService: options.dialService,
    dialPod: options.dialPod,
  });
  const handler = new Handler({ operations, authorizer, tokens, special, log });
  const upgrades = new Upgrades({ operations, authorizer, runtime, log });
  const furnishing = { operations, serviceCidr, caCertificate: credentials.ca, advertise: options.advertise, log };
  await bootstrap(furnishing);
  const stopFurnishing = keepNamespacesFurnished(furnishing);
  const stopAggregating = keepRolesAggregated(operations, log);
  const stopExpiring = expireEvents(store, now);
  const garbage = startGarbageCollection(operations, log);

  const sockets = new Set<Socket>();
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  };
  const serve = (identify: (request: IncomingMessage) => User) => ({
    request: (request: IncomingMessage, response: ServerResponse) => {
      response.on('error', () => {});
      let user: User;
      try {
        user = authenticator.impersonated(identify(request), request, authorizer);
      } catch (error) {
        sendError(request, response, error);
        return;
      }
      void handler.handle(request, response, user);
    },
    upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => {});
      void upgrades.handle(request, socket, head, () =>
        authenticator.impersonated(identify(request), request, authorizer),
      );
    },
  });
  const overTls = serve((request) => authenticator.identify(request));
  const overUnix = serve((request) => authenticator.identifyLocal(request));
  const configure = (server: Server | TlsServer, handlers: ReturnType<typeof serve>) => {
    server.on('request', handlers.request);
    server.on('upgrade', handlers.upgrade);
    server.on('connection', track);
    server.requestTimeout = 0;
    server.keepAliveTimeout = 120_000;
    server.headersTimeout = 60_000;
    server.on('clientError', (_error, socket) => socket.destroy());
  };
  const tlsServer = (): TlsServer => {
    const server = createTlsServer({
      key: credentials.serving.key,
      cert: credentials.serving.certificate,
      ca: credentials.ca,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      ALPNProtocols: ['http/1.1'],
    });
    configure(server, overTls);
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    return server;
  };
  const servers: (Server | TlsServer)[] = [];
  const detached: (() => void)[] = [];
  const listen = async (place: Listen): Promise<{ readonly host: string; readonly port: number } | undefined> => {
    switch (place.kind) {
      case 'tls': {
        const server = tlsServer();
        await listening(server, { host: place.host, port: place.port });
        servers.push(server);
        return { host: place.host, port: (server.address() as AddressInfo).port };
      }
      case 'tls-server': {
        const server = tlsServer();
        const accept = (socket: Socket) => server.emit('connection', socket);
        place.server.serve(accept);
        detached.push(() => place.server.serve((socket) => socket.destroy()));
        return undefined;
      }
      case 'unix': {
        if (existsSync(place.path)) rmSync(place.path);
        const server = createServer();
        configure(server, overUnix);
        const before = process.umask(0o177);
        try {
          await listening(server, { path: place.path });
        } finally {
          process.umask(before);
        }
        chmodSync(place.path, 0o600);
        servers.push(server);
        return undefined;
      }
    }
  };
  const addresses: { host: string; port: number }[] = [];
  for (const place of options.listen) {
    const address = await listen(place);
    if (address !== undefined) addresses.push(address);
  }
  return {
    caCertificate: credentials.ca,
    adminCertificate: credentials.admin.certificate,
    adminKey: credentials.admin.key,
    addresses,
    listen,
    adminKubeconfig: (server, name = 'istio-local') => kubeconfig(server, name, credentials.ca, credentials.admin),
    close: async () => {
      stopFurnishing();
      stopAggregating();
      stopExpiring();
      await garbage.stop();
      custom.stop();
      for (const detach of detached) detach();
      const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
      store.close();
    },
  };
}

function listening(
  server: Server | TlsServer,
  where: { host: string; port: number } | { path: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function kubeconfig(
  server: string,
  name: string,
  ca: string,
  admin: { readonly key: string; readonly certificate: string },
): object {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server, 'certificate-authority-data': base64(ca) } }],
    users: [
      { name, user: { 'client-certificate-data': base64(admin.certificate), 'client-key-data': base64(admin.key) } },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    'current-context': name,
    preferences: {},
  };
}
