/** One PEM text per certificate, written alike, so that equal certificates are equal texts. */
function certificates(pem: string): readonly string[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (block) => `${block.replace(/\s*\n\s*/g, '\n')}\n`,
  );
}

/**
 * The mesh's trust anchors as a proxy knows them: what the CA answered with last, and what the mounted ConfigMap says. The ConfigMap comes between two
 * renewals: a new anchor is known before anybody shows a certificate of it, and one that is taken out of it goes at once. Anchors of another CA, which
 * the ConfigMap never named, stay.
 */
export class TrustedRoots {
  #answered: readonly string[] = [];
  #mounted: readonly string[] = [];

  /** The CA answered with this bundle. */
  answered(pem: string): void {
    this.#answered = certificates(pem);
  }

  /** The ConfigMap holds this bundle now. A text without certificates is one that is being written. */
  mounted(pem: string): void {
    const now = certificates(pem);
    if (now.length === 0) return;
    const gone = new Set(this.#mounted.filter((root) => !now.includes(root)));
    this.#answered = this.#answered.filter((root) => !gone.has(root));
    this.#mounted = now;
  }

  /** One bundle without doubles; undefined before the CA has answered. */
  get bundle(): string | undefined {
    return this.#answered.length === 0 && this.#mounted.length === 0
      ? undefined
      : [...new Set([...this.#answered, ...this.#mounted])].join('');
  }
}
