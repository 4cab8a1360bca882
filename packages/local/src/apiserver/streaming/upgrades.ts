import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { NodeRuntime } from '../../node-runtime.ts';
import type { Authorizer } from '../auth/rbac.ts';
import type { User } from '../auth/user.ts';
import type { Operations } from '../operations/operations.ts';

export interface UpgradeOptions {
  readonly operations: Operations;
  readonly authorizer: Authorizer;
  readonly runtime: NodeRuntime;
  readonly log: (line: string) => void;
}

export class Upgrades {
  constructor(_options: UpgradeOptions) {}
  async handle(_request: IncomingMessage, socket: Duplex, _head: Buffer, _identify: () => User): Promise<void> {
    socket.end('HTTP/1.1 501 Not Implemented\r\n\r\n');
  }
}
