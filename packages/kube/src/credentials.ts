import { readFileSync } from 'node:fs';
import { type ExecCredential, runExecPlugin } from './exec-credentials.ts';
import type { Credentials, KubeConfig } from './kubeconfig.ts';

/** What one request needs to prove who sends it. */
export interface RequestIdentity {
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly cert?: string;
  readonly key?: string;
}

/** Gives the identity of each request; `forget` is called after an answer 401, so that a fresh one is fetched. */
export interface IdentitySource {
  current(): Promise<RequestIdentity>;
  forget(): void;
}

const tokenFileLifeMs = 60_000;
/** Plugins' tokens are renewed a little before they expire. */
const expiryMarginMs = 10_000;

/** The identity of a configuration's user. Clock and environment come from outside. */
export function createIdentitySource(
  config: KubeConfig,
  env: Readonly<Record<string, string | undefined>>,
  now: () => number,
): IdentitySource {
  const bearer = createBearer(config.credentials, env, now);
  const impersonation: Record<string, string | string[]> = {};
  if (config.impersonate) {
    impersonation['Impersonate-User'] = config.impersonate.user;
    if (config.impersonate.groups.length > 0) impersonation['Impersonate-Group'] = [...config.impersonate.groups];
    if (config.impersonate.uid !== undefined) impersonation['Impersonate-Uid'] = config.impersonate.uid;
  }
  return {
    current: async () => {
      const { authorization, cert, key } = await bearer.current();
      return {
        headers: { ...impersonation, ...(authorization !== undefined && { Authorization: authorization }) },
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
      };
    },
    forget: bearer.forget,
  };
}

interface Bearer {
  readonly authorization?: string;
  readonly cert?: string;
  readonly key?: string;
}

function createBearer(
  credentials: Credentials,
  env: Readonly<Record<string, string | undefined>>,
  now: () => number,
): { current(): Promise<Bearer>; forget(): void } {
  switch (credentials.kind) {
    case 'none':
      return constant({});
    case 'token':
      return constant({ authorization: `Bearer ${credentials.token}` });
    case 'basic': {
      const pair = Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64');
      return constant({ authorization: `Basic ${pair}` });
    }
    case 'tokenFile':
      return tokenFile(credentials.path, now);
    case 'exec': {
      let pending: Promise<ExecCredential> | undefined;
      let expiresAt = Number.POSITIVE_INFINITY;
      return {
        current: async () => {
          if (now() > expiresAt - expiryMarginMs) pending = undefined;
          if (!pending) {
            expiresAt = Number.POSITIVE_INFINITY;
            pending = runExecPlugin(credentials.spec, env);
          }
          const mine = pending;
          try {
            const answer = await mine;
            expiresAt = answer.expiresAt ?? Number.POSITIVE_INFINITY;
            return {
              ...(answer.token !== undefined && { authorization: `Bearer ${answer.token}` }),
              ...(answer.cert !== undefined && { cert: answer.cert }),
              ...(answer.key !== undefined && { key: answer.key }),
            };
          } catch (error) {
            if (pending === mine) pending = undefined;
            throw error;
          }
        },
        forget: () => {
          pending = undefined;
        },
      };
    }
    default:
      return credentials satisfies never;
  }
}

function constant(value: Bearer): { current(): Promise<Bearer>; forget(): void } {
  return { current: async () => value, forget: () => {} };
}

function tokenFile(path: string, now: () => number): { current(): Promise<Bearer>; forget(): void } {
  let cached: Bearer = {};
  let readAt = Number.NEGATIVE_INFINITY;
  return {
    current: async () => {
      if (now() - readAt >= tokenFileLifeMs) {
        try {
          cached = { authorization: `Bearer ${readFileSync(path, 'utf8').trim()}` };
          readAt = now();
        } catch (error) {
          // A token that is being replaced may be missing for a moment; the old one is valid a while longer.
          if (cached.authorization === undefined) {
            throw new Error(`Cannot read the token file ${path}: ${error instanceof Error ? error.message : error}`);
          }
        }
      }
      return cached;
    },
    forget: () => {
      readAt = Number.NEGATIVE_INFINITY;
    },
  };
}
