import { encode } from '@istio-ts/envoy';
import type { MethodHandler } from '@istio-ts/envoy/grpc';

/** Whether the service can answer, and when that changes. */
export class Health {
  readonly #isHealthy: () => boolean;
  #next = Promise.withResolvers<void>();

  constructor(isHealthy: () => boolean) {
    this.#isHealthy = isHealthy;
  }

  get isHealthy(): boolean {
    return this.#isHealthy();
  }

  /** Resolves when it is to be looked at again. */
  get change(): Promise<void> {
    return this.#next.promise;
  }

  /** It may be different from now on. */
  readonly changed = (): void => {
    const { resolve } = this.#next;
    this.#next = Promise.withResolvers<void>();
    resolve();
  };
}

/** The standard health check of gRPC; `Watch` tells each change. */
export function healthMethods(health: Health): Readonly<Record<string, MethodHandler>> {
  const answer = (isHealthy: boolean): Uint8Array =>
    encode('grpc.health.v1.HealthCheckResponse', { status: isHealthy ? 'SERVING' : 'NOT_SERVING' });
  return {
    '/grpc.health.v1.Health/Check': { kind: 'unary', handle: () => answer(health.isHealthy) },
    '/grpc.health.v1.Health/Watch': {
      kind: 'stream',
      handle: async (call) => {
        const ended = new Promise<void>((resolve) =>
          call.signal.addEventListener('abort', () => resolve(), { once: true }),
        );
        let told: boolean | undefined;
        while (!call.signal.aborted) {
          // Taken before looking: what changes while the answer is written is seen in the next round.
          const { change } = health;
          const { isHealthy } = health;
          if (isHealthy !== told) await call.write(answer(isHealthy));
          told = isHealthy;
          await Promise.race([change, ended]);
        }
      },
    },
  };
}
