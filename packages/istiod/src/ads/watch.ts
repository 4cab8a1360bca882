import type { XdsResource } from '@istio-ts/xds';

/** What a client asked or answered about one type; the common part of both protocols. */
export interface WatchRequest {
  readonly nonce: string;
  /** The client's reason to refuse the response with the nonce. */
  readonly error: string | undefined;
}

/** A response that the client refused; it keeps what it had before. */
export interface Rejection {
  readonly message: string;
  readonly nonce: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Names of the resources of the refused response. */
  readonly resources: readonly string[];
  /** Those of them that the message is about; all where it names none. */
  readonly offenders: readonly XdsResource[];
}

/** What is to be sent of one type. */
export interface WatchUpdate {
  readonly resources: readonly XdsResource[];
  readonly removed: readonly string[];
}

/** How one type stands with one client, for proxy-status and the debug endpoints. */
export interface WatchStatus {
  readonly typeUrl: string;
  readonly wildcard: boolean;
  /** Names asked for, sorted; empty when only everything is. */
  readonly names: readonly string[];
  readonly resourceCount: number;
  readonly nonceSent: string;
  readonly nonceAcked: string;
  readonly sentAt: number | undefined;
  readonly ackedAt: number | undefined;
  readonly rejection: Rejection | undefined;
  readonly state: 'SYNCED' | 'NOT_SENT' | 'STALE' | 'ERROR';
  /** Something was sent and is not answered, or there may be something to send. */
  readonly pending: boolean;
}

interface Sent {
  readonly nonce: string;
  readonly update: WatchUpdate;
}

/** What became of a request's nonce. */
export type Answer = 'first' | 'ack' | 'nack' | 'stale' | 'request';

/**
 * One type on one stream: what the client wants, what it was sent and whether it has answered. A response is outstanding
 * until its nonce comes back; meanwhile changes only set `changed`, so any number of them becomes one next response.
 */
export abstract class Watch {
  readonly typeUrl: string;
  protected wildcard = false;
  /** Something may differ from what was sent. */
  protected changed = false;
  /** The client waits for a response even if nothing differs. */
  protected answerDue = false;
  /** To be sent even if unchanged. */
  protected readonly forced = new Set<string>();
  #outstanding: Sent | undefined;
  protected nonceSent = '';
  #nonceAcked = '';
  #sentAt: number | undefined;
  #ackedAt: number | undefined;
  #rejection: Rejection | undefined;

  constructor(typeUrl: string) {
    this.typeUrl = typeUrl;
  }

  /** Whether a response is on its way or being digested. */
  get outstanding(): boolean {
    return this.#outstanding !== undefined;
  }

  /** Whether a response that is not answered yet has a resource whose name passes. */
  awaitsAny(passes: (name: string) => boolean): boolean {
    return this.#outstanding?.update.resources.some(({ name }) => passes(name)) === true;
  }

  get sentAt(): number | undefined {
    return this.#sentAt;
  }

  /** Whether there may be something to send once nothing is outstanding. */
  get due(): boolean {
    return this.changed || this.answerDue || this.forced.size > 0;
  }

  get rejection(): Rejection | undefined {
    return this.#rejection;
  }

  markChanged(): void {
    this.changed = true;
  }

  /** Says that the client needs these again, for example the endpoints of a cluster that was replaced. */
  force(names: Iterable<string>): void {
    for (const name of names) if (this.wants(name)) this.forced.add(name);
  }

  /** Whether the client has asked for a name, by itself or with everything. */
  abstract wants(name: string): boolean;

  /** Names asked for one by one. */
  protected abstract askedNames(): Iterable<string>;

  protected abstract get resourceCount(): number;

  /** The client did not take a response. */
  protected refused(_sent: WatchUpdate, _offenders: ReadonlySet<string>): void {}

  /** What is to be sent now, if anything; nothing while a response is outstanding. */
  take(resources: ReadonlyMap<string, XdsResource>, holdRemovals: boolean): WatchUpdate | undefined {
    if (this.outstanding || !this.due) return undefined;
    const update = this.collect(resources, holdRemovals);
    if (update.resources.length === 0 && update.removed.length === 0 && !this.answerDue) return undefined;
    this.answerDue = false;
    return update;
  }

  /** The difference between what the client should have and what it was sent; records it as sent. */
  protected abstract collect(resources: ReadonlyMap<string, XdsResource>, holdRemovals: boolean): WatchUpdate;

  markSent(nonce: string, update: WatchUpdate, now: number): void {
    this.#outstanding = { nonce, update };
    this.noteSent(nonce, now);
  }

  protected noteSent(nonce: string, now: number): void {
    this.nonceSent = nonce;
    this.#sentAt = now;
  }

  /** Settles the outstanding response if the request answers it. */
  protected settle(request: WatchRequest, now: number): Answer {
    if (request.nonce === '') return this.nonceSent === '' ? 'first' : 'request';
    // A nonce of an earlier stream: the client has just reconnected.
    if (this.nonceSent === '') return 'first';
    if (request.nonce !== this.nonceSent) return 'stale';
    const answered = this.#outstanding;
    if (answered === undefined) return 'request';
    this.#outstanding = undefined;
    return this.answered(answered.update, request, now);
  }

  /** Notes the answer to a response. */
  protected answered(sent: WatchUpdate, { nonce, error }: WatchRequest, now: number): Answer {
    if (error !== undefined) {
      const named = sent.resources.filter(({ name }) => error.includes(name));
      const offenders = named.length > 0 ? named : sent.resources;
      const resources = sent.resources.map(({ name }) => name);
      this.#rejection = { message: error, nonce, at: now, resources, offenders };
      this.refused(sent, new Set(named.map(({ name }) => name)));
      return 'nack';
    }
    this.#nonceAcked = nonce;
    this.#ackedAt = now;
    this.#rejection = undefined;
    return 'ack';
  }

  status(): WatchStatus {
    const state =
      this.nonceSent === ''
        ? 'NOT_SENT'
        : this.#rejection !== undefined
          ? 'ERROR'
          : this.#nonceAcked === this.nonceSent
            ? 'SYNCED'
            : 'STALE';
    return {
      typeUrl: this.typeUrl,
      wildcard: this.wildcard,
      names: [...this.askedNames()].sort(),
      resourceCount: this.resourceCount,
      nonceSent: this.nonceSent,
      nonceAcked: this.#nonceAcked,
      sentAt: this.#sentAt,
      ackedAt: this.#ackedAt,
      rejection: this.#rejection,
      state,
      pending: this.outstanding || this.due,
    };
  }
}
