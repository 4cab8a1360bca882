/** Something an image is made of, for its bill of materials. */
export interface Component {
  readonly name: string;
  readonly version: string;
  /** Package URL: https://github.com/package-url/purl-spec */
  readonly purl: string;
  /** SPDX expression, where it is known. */
  readonly licence?: string | undefined;
  /** Of the file it came in. */
  readonly sha256?: string | undefined;
  /** Of the file it came in, in hexadecimal digits; npm's packages have this one. */
  readonly sha512?: string | undefined;
}

/** What tells a component from others: its package URL and the file it came in, as one package may have a file for each architecture. */
export const identityOf = ({ purl, sha256, sha512 }: Component): string => [purl, sha256, sha512].join(' ').trimEnd();

/** Components without doubles, sorted by their package URL and checksum. */
export const distinct = (components: Iterable<Component>): Component[] =>
  [...new Map([...components].map((component) => [identityOf(component), component]))]
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([, component]) => component);
