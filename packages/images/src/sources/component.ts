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

/** Components without doubles, sorted by their package URL. */
export const distinct = (components: Iterable<Component>): Component[] =>
  [...new Map([...components].map((component) => [component.purl, component])).values()].sort((a, b) =>
    a.purl < b.purl ? -1 : 1,
  );
