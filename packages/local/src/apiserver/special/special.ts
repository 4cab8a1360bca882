import type { Duplex } from 'node:stream';
import type { NodeRuntime } from '../../node-runtime.ts';
import type { Authorizer } from '../auth/rbac.ts';
import type { TokenAuthority } from '../auth/tokens.ts';
import type { SpecialHandler } from '../http/handler.ts';
import type { Operations } from '../operations/operations.ts';
import { podHandlers } from './pods.ts';
import { reviewHandlers } from './reviews.ts';
import { scaleHandlers } from './scale.ts';

export interface SpecialOptions {
  readonly operations: Operations;
  readonly authorizer: Authorizer;
  readonly tokens: TokenAuthority;
  readonly runtime: NodeRuntime;
  readonly dialService: ((clusterIP: string, port: number) => Promise<Duplex>) | undefined;
  readonly dialPod: ((podIP: string, port: number) => Promise<Duplex>) | undefined;
}

/** Everything that is not plain reading and writing, by the keys that `HandlerOptions.special` describes. */
export function specialHandlers(options: SpecialOptions): ReadonlyMap<string, SpecialHandler> {
  return new Map([...reviewHandlers(options), ...podHandlers(options), ...scaleHandlers(options)]);
}
