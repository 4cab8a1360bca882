/** A setting of the configuration that cannot be taken; `path` says where it is. */
export class ConfigError extends Error {
  readonly path: string;
  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.name = 'ConfigError';
    this.path = path;
  }
}

/** A mapping of the configuration that refuses fields which nobody asked for. */
export class Fields {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #asked = new Set<string>();

  constructor(value: unknown, path: string) {
    const given = value ?? {};
    if (typeof given !== 'object' || Array.isArray(given)) throw new ConfigError(path, 'a mapping is expected');
    this.#fields = given as Readonly<Record<string, unknown>>;
    this.#path = path;
  }

  pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }

  raw(name: string): unknown {
    this.#asked.add(name);
    return this.#fields[name] ?? undefined;
  }

  text(name: string, preset: string): string {
    const value = this.raw(name) ?? preset;
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    throw new ConfigError(this.pathOf(name), 'a text is expected');
  }

  optional(name: string): string | undefined {
    return this.raw(name) === undefined ? undefined : this.text(name, '');
  }

  flag(name: string, preset: boolean): boolean {
    const value = this.raw(name) ?? preset;
    if (typeof value !== 'boolean') throw new ConfigError(this.pathOf(name), 'true or false is expected');
    return value;
  }

  number(name: string, preset: number): number {
    const value = this.raw(name) ?? preset;
    if (typeof value !== 'number' || !(value >= 0))
      throw new ConfigError(this.pathOf(name), 'a number from 0 is expected');
    return value;
  }

  /** Each entry of a list, with its path. */
  list<T>(name: string, read: (value: unknown, path: string) => T): T[] {
    const value = this.raw(name) ?? [];
    if (!Array.isArray(value)) throw new ConfigError(this.pathOf(name), 'a list is expected');
    return value.map((entry, index) => read(entry, `${this.pathOf(name)}[${index}]`));
  }

  texts(name: string): string[] {
    return this.list(name, (value, path) => {
      if (typeof value !== 'string') throw new ConfigError(path, 'a text is expected');
      return value;
    });
  }

  map(name: string): ReadonlyMap<string, string> {
    const value = this.raw(name) ?? {};
    if (typeof value !== 'object' || Array.isArray(value))
      throw new ConfigError(this.pathOf(name), 'a mapping is expected');
    return new Map(Object.entries(value as object).map(([key, text]) => [key, String(text)]));
  }

  fields(name: string): Fields | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : new Fields(value, this.pathOf(name));
  }

  /** Refuses what was not asked for. Call it last. */
  end(): void {
    const left = Object.keys(this.#fields).find((name) => !this.#asked.has(name) && this.#fields[name] !== null);
    if (left !== undefined) throw new ConfigError(this.pathOf(left), 'this field is not supported by this store');
  }
}
