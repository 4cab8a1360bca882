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

/** What became of a request's nonce. */
export type Answer = 'first' | 'ack' | 'nack' | 'stale' | 'request';

/**
 * One type on one stream: what the client wants, what it was sent and whether it has answered. A response is outstanding
 * until its nonce comes back; meanwhile changes only set `changed`, so any number of them becomes one next response.
 */
export abstract class Watch {
  readonly typeUrl: string;
  /** Names and versions that the client has been sent. */
  protected readonly known = new Map<string, string>();
  protected readonly names = new Set<string>();
  protected wildcard = false;
  /** Something may differ from what was sent. */
  protected changed = false;
  /** The client waits for a response even if nothing differs. */
  protected answerDue = false;
  /** To be sent even if unchanged. */
  protected readonly forced = new Set<string>();
  #outstanding: { readonly nonce: string; readonly resources: readonly string[] } | undefined;
  #nonceSent = '';
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

  /** Names in the response that is not answered yet. */
  get outstandingNames(): readonly string[] {
    return this.#outstanding?.resources ?? [];
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
    for (const name of names) if (this.wildcard || this.names.has(name)) this.forced.add(name);
  }

  wants(name: string): boolean {
    return this.wildcard || this.names.has(name);
  }

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
    this.#outstanding = { nonce, resources: update.resources.map((resource) => resource.name) };
    this.#nonceSent = nonce;
    this.#sentAt = now;
  }

  /** Settles the outstanding response if the request answers it. */
  protected settle(request: WatchRequest, now: number): Answer {
    if (request.nonce === '') return this.#nonceSent === '' ? 'first' : 'request';
    // A nonce of an earlier stream: the client has just reconnected.
    if (this.#nonceSent === '') return 'first';
    if (request.nonce !== this.#nonceSent) return 'stale';
    const answered = this.#outstanding;
    if (answered === undefined) return 'request';
    this.#outstanding = undefined;
    if (request.error !== undefined) {
      this.#rejection = { message: request.error, nonce: request.nonce, at: now, resources: answered.resources };
      return 'nack';
    }
    this.#nonceAcked = request.nonce;
    this.#ackedAt = now;
    this.#rejection = undefined;
    return 'ack';
  }

  status(): WatchStatus {
    const state =
      this.#nonceSent === ''
        ? 'NOT_SENT'
        : this.#rejection !== undefined
          ? 'ERROR'
          : this.#nonceAcked === this.#nonceSent
            ? 'SYNCED'
            : 'STALE';
    return {
      typeUrl: this.typeUrl,
      wildcard: this.wildcard,
      names: [...this.names].sort(),
      resourceCount: this.known.size,
      nonceSent: this.#nonceSent,
      nonceAcked: this.#nonceAcked,
      sentAt: this.#sentAt,
      ackedAt: this.#ackedAt,
      rejection: this.#rejection,
      state,
      pending: this.outstanding || this.due,
    };
  }
}
