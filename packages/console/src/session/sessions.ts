import { createHash, randomBytes } from 'node:crypto';
import { type ClosableKubeClient, createKubeClient, type KubeConfig } from '@istio-ts/kube';
import type { AuthStrategy } from '../api.ts';
import { ApiFailure } from '../http/failure.ts';
import { ClusterReader } from '../sources/cluster-reader.ts';
import { MeshReader } from '../sources/mesh-reader.ts';
import { mayWriteSomewhere, userOf } from './access.ts';
import type { Caller } from './caller.ts';

/** How long somebody is known without asking anything, and at most, in milliseconds. */
const idleMs = 2 * 3600_000;
const lifetimeMs = 24 * 3600_000;
/** How long a token that is sent with each request is taken as checked. */
const bearerMs = 60_000;
const maxSessions = 1_000;
/** Tokens of Kubernetes are about a thousand characters long. */
const maxToken = 16_384;

export interface SessionOptions {
  readonly strategy: AuthStrategy;
  readonly readOnly: boolean;
  /** How to reach the API server; the credentials in it are the console's own. */
  readonly config: KubeConfig;
  readonly own: ClosableKubeClient;
  readonly now: () => number;
}

interface Entry {
  readonly caller: Caller;
  readonly client: ClosableKubeClient;
  lastUsed: number;
  readonly until: number;
  checkedUntil: number;
}

/** Who has given a token. Tokens stay in this process: browsers get a random name for them. */
export class Sessions {
  readonly #options: SessionOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #opening = new Map<string, Promise<Caller>>();
  readonly #anonymous: Caller;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#anonymous = {
      user: undefined,
      client: options.own,
      mesh: new MeshReader(new ClusterReader(options.own, options.own, options.now), options.now),
      mayWrite: false,
      sessionId: undefined,
    };
  }

  get strategy(): AuthStrategy {
    return this.#options.strategy;
  }

  /**
   * Who asks: by the cookie's name, or by a token in the header Authorization. Undefined: nobody who is known; where anonymous callers may look, it is one
   * of them. Raises ApiFailure 401 for a bad token.
   */
  async callerOf(sessionId: string | undefined, authorization: string | undefined): Promise<Caller | undefined> {
    const [, token] = /^Bearer +(\S+)$/i.exec(authorization ?? '') ?? [];
    if (token !== undefined) return this.#bearer(token);
    const known = sessionId === undefined ? undefined : this.#known(sessionId);
    return known ?? (this.#options.strategy === 'anonymous' ? this.#anonymous : undefined);
  }

  #known(sessionId: string): Caller | undefined {
    const entry = this.#entries.get(keyOf(sessionId));
    const now = this.#options.now();
    if (!entry || entry.until <= now || entry.lastUsed + idleMs <= now) {
      this.end(sessionId);
      return undefined;
    }
    entry.lastUsed = now;
    return entry.caller;
  }

  /** Checks a token and remembers it; gives the name for the cookie. Raises ApiFailure. */
  async begin(token: string): Promise<{ readonly sessionId: string; readonly caller: Caller }> {
    const sessionId = randomBytes(32).toString('base64url');
    const caller = await this.#open(keyOf(sessionId), token, sessionId, lifetimeMs);
    return { sessionId, caller };
  }

  /** Forgets a session; also one that there is not. */
  end(sessionId: string): void {
    this.#remove(keyOf(sessionId));
  }

  close(): void {
    for (const key of [...this.#entries.keys()]) this.#remove(key);
  }

  async #bearer(token: string): Promise<Caller> {
    // Kept by a fingerprint: two maps with tokens in them would be one too many.
    const key = `bearer ${keyOf(token)}`;
    const now = this.#options.now();
    const entry = this.#entries.get(key);
    if (entry && entry.checkedUntil > now) {
      entry.lastUsed = now;
      return entry.caller;
    }
    // Requests that come together have their token checked together.
    let opening = this.#opening.get(key);
    if (!opening) {
      opening = (entry ? this.#checkAgain(key, token, entry) : this.#open(key, token, undefined, lifetimeMs)).finally(
        () => this.#opening.delete(key),
      );
      this.#opening.set(key, opening);
    }
    return opening;
  }

  /** Streams of the caller go on meanwhile: the client stays. */
  async #checkAgain(key: string, token: string, entry: Entry): Promise<Caller> {
    const { own, now } = this.#options;
    if ((await userOf(token, own, entry.client)) === undefined) {
      this.#remove(key);
      throw notAccepted();
    }
    entry.lastUsed = now();
    entry.checkedUntil = now() + bearerMs;
    return entry.caller;
  }

  async #open(key: string, token: string, sessionId: string | undefined, lifetime: number): Promise<Caller> {
    if (token.length > maxToken || !/^[\x21-\x7e]+$/.test(token))
      throw new ApiFailure(401, 'this is not a token of Kubernetes: make one with kubectl create token NAME');
    const { config, own, now, readOnly } = this.#options;
    const { cert: _cert, key: _key, ...tls } = config.tls;
    // Impersonation is the console's; the caller comes as nobody but themselves.
    const { impersonate: _impersonate, ...base } = config;
    const client = createKubeClient(
      { ...base, tls, credentials: { kind: 'token', token } },
      { userAgent: 'istio-console' },
    );
    try {
      const user = await userOf(token, own, client);
      if (user === undefined) throw notAccepted();
      const cluster = new ClusterReader(client, own, now);
      const visible = await cluster.visible();
      const mayWrite = !readOnly && (await mayWriteSomewhere(client, visible));
      const caller: Caller = { user, client, mesh: new MeshReader(cluster, now), mayWrite, sessionId };
      this.#makeRoom();
      this.#entries.set(key, {
        caller,
        client,
        lastUsed: now(),
        until: now() + lifetime,
        checkedUntil: now() + bearerMs,
      });
      return caller;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  #makeRoom(): void {
    const now = this.#options.now();
    for (const [key, { until, lastUsed }] of this.#entries)
      if (until <= now || lastUsed + idleMs <= now) this.#remove(key);
    while (this.#entries.size >= maxSessions) {
      const [oldest] = this.#entries.keys();
      if (oldest === undefined) return;
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#entries.delete(key);
    entry.client.close();
  }
}

const notAccepted = (): ApiFailure =>
  new ApiFailure(
    401,
    'Kubernetes does not accept this token: it may have expired. Make a new one with kubectl create token NAME',
  );

const keyOf = (secret: string): string => createHash('sha256').update(secret).digest('base64url');
