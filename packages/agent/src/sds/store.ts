import type { NamedSecret, SecretValue } from './messages.ts';

/** Secrets by name, as they are now, and who wants to hear of changes. */
export class SecretStore {
  readonly #secrets = new Map<string, NamedSecret>();
  readonly #listeners = new Set<(name: string) => void>();
  #version = 0;

  get(name: string): NamedSecret | undefined {
    return this.#secrets.get(name);
  }

  /** Replaces a secret and tells the listeners, unless it is the same as before. */
  put(name: string, value: SecretValue): void {
    const old = this.#secrets.get(name)?.value;
    if (old !== undefined && JSON.stringify(old) === JSON.stringify(value)) return;
    this.#secrets.set(name, { name, version: String(++this.#version), value });
    for (const listener of [...this.#listeners]) listener(name);
  }

  names(): readonly string[] {
    return [...this.#secrets.keys()];
  }

  /** The result ends the subscription. */
  subscribe(listener: (name: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
