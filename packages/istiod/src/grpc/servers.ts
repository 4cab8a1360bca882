import type { SecureContextOptions } from 'node:tls';
import { createGrpcServer, type GrpcServer, type MethodHandler, reflectionMethods } from '@istio-ts/envoy/grpc';
import type { Logger } from '../log.ts';

export interface GrpcServersOptions {
  /** Methods of the ADS server. */
  readonly discovery: Readonly<Record<string, MethodHandler>>;
  /** Methods of the CA service; only on the encrypted port. */
  readonly certificates: Readonly<Record<string, MethodHandler>>;
  /** Istiod's certificate and key, and the roots that client certificates must come from. */
  readonly tls: SecureContextOptions;
  /** Time between pings to a silent client and how long it may take to answer. */
  readonly keepaliveMs?: number;
  readonly keepaliveTimeoutMs?: number;
  readonly maxConnectionAgeMs?: number;
  readonly log: Logger;
}

/** The gRPC servers of istiod by their ports: 15010 in plain text, 15012 in TLS. */
export interface GrpcServers {
  readonly plain: GrpcServer;
  readonly secure: GrpcServer;
}

export function createGrpcServers(options: GrpcServersOptions): GrpcServers {
  const common = {
    keepaliveMs: options.keepaliveMs,
    keepaliveTimeoutMs: options.keepaliveTimeoutMs,
    maxConnectionAgeMs: options.maxConnectionAgeMs,
    onError: (error: unknown, path: string) =>
      options.log.error(`gRPC ${path}: ${error instanceof Error ? error.stack : error}`),
  };
  const services = (methods: Readonly<Record<string, MethodHandler>>): string[] => [
    ...new Set(Object.keys(methods).map((path) => path.slice(1, path.lastIndexOf('/')))),
  ];
  const secure = { ...options.discovery, ...options.certificates };
  return {
    plain: createGrpcServer({
      ...common,
      methods: { ...options.discovery, ...reflectionMethods(services(options.discovery)) },
    }),
    secure: createGrpcServer({
      ...common,
      methods: { ...secure, ...reflectionMethods(services(secure)) },
      tls: options.tls,
    }),
  };
}
