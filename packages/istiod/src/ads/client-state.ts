import { differences, type XdsResource } from '@istio-ts/xds';

type Table = ReadonlyMap<string, XdsResource>;

const nothing: Table = new Map();

/** The version of a name that the client was told to be missing. Real versions are never empty. */
export const ABSENT = '';
/** The client has some version of it, nobody knows which. */
const UNKNOWN = '\0';

/**
 * What a client holds of one type: the table that it was brought to last, and the names for which that is not true. A table is shared by all
 * clients that see it, so a client costs only what it deviates.
 */
export class ClientState {
  #table: Table = nothing;
  readonly #deviations = new Map<string, string | undefined>();
  /** Versions that the client has refused; they are not sent again. */
  readonly #refused = new Map<string, string>();

  /** Undefined: the client does not have it and was not told that it is missing. Of names that it never asked for this says nothing. */
  versionOf(name: string): string | undefined {
    return this.#deviations.has(name) ? this.#deviations.get(name) : (this.#table.get(name)?.version ?? ABSENT);
  }

  get table(): Table {
    return this.#table;
  }

  /** Whether bringing the client to `table` can need nothing. */
  isAt(table: Table): boolean {
    return this.#table === table && this.#deviations.size === 0;
  }

  deviate(name: string, version: string | undefined): void {
    this.#deviations.set(name, version);
  }

  deviations(): IterableIterator<string> {
    return this.#deviations.keys();
  }

  forget(name: string): void {
    this.#refused.delete(name);
    this.#deviations.set(name, undefined);
  }

  /** The client has nothing. */
  reset(): void {
    this.#table = nothing;
    this.#deviations.clear();
    this.#refused.clear();
  }

  /** The client did not take these; `offenders` among them are why. */
  refused(names: Iterable<string>, offenders: ReadonlySet<string>): void {
    for (const name of names) {
      const version = this.#table.get(name)?.version;
      if (offenders.has(name) && version !== undefined) this.#refused.set(name, version);
      this.#deviations.set(name, UNKNOWN);
    }
  }

  isRefused(resource: XdsResource): boolean {
    return this.#refused.get(resource.name) === resource.version;
  }

  /** Names that may have to be sent or removed for the client to be at `table`. */
  candidates(table: Table): Set<string> {
    const names = new Set(differences(this.#table, table));
    for (const name of this.#deviations.keys()) names.add(name);
    return names;
  }

  /** The client is at `table` now, but for `held`, of which it has the given versions. */
  moveTo(table: Table, held: ReadonlyMap<string, string | undefined>): void {
    this.#table = table;
    this.#deviations.clear();
    for (const [name, version] of held) this.#deviations.set(name, version);
    for (const [name, version] of this.#refused) if (table.get(name)?.version !== version) this.#refused.delete(name);
  }
}
