/** One way to log in that a server offers (RFC 9110, 11.6.1). */
export interface Challenge {
  /** In lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** Parameters by their names in lower case. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** A parameter with its value, quoted or not; or the name of a scheme. */
const PART = /[\s,]*(?:([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([\w!#$%&'*+.^`|~-]+))/gy;

/** The ways to log in of a `WWW-Authenticate` header, in its order. What cannot be read, and what follows it, is left out. */
export function challenges(header: string): readonly Challenge[] {
  const found: { readonly scheme: string; readonly parameters: Record<string, string> }[] = [];
  for (const [, name = '', quoted, bare = '', scheme] of header.matchAll(PART)) {
    if (scheme !== undefined) found.push({ scheme: scheme.toLowerCase(), parameters: {} });
    else {
      const parameters = found.at(-1)?.parameters;
      if (parameters !== undefined) parameters[name.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? bare;
    }
  }
  return found;
}
