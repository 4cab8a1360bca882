import { boolYaml11Tag, CORE_SCHEMA, defineScalarTag, load, mergeTag, NOT_RESOLVED } from 'js-yaml';

/** Documents longer than this, in UTF-16 units, are refused. */
export const MAX_YAML = 64 * 1024 * 1024;

// Go's tools read YAML 1.1: `on`, `off`, `yes`, `no`, `y` and `n` are booleans (go-yaml v2, resolve table).
const BOOLS: ReadonlyMap<string, boolean> = new Map(
  [
    ['y', true],
    ['yes', true],
    ['true', true],
    ['on', true],
    ['n', false],
    ['no', false],
    ['false', false],
    ['off', false],
  ].flatMap(([word, value]) => {
    const text = String(word);
    return [text, text.toUpperCase(), text[0]?.toUpperCase() + text.slice(1)].map((form): [string, boolean] => [
      form,
      value === true,
    ]);
  }),
);
const boolTag = defineScalarTag<boolean>(boolYaml11Tag.tagName, {
  implicit: true,
  implicitFirstChars: [...'yYnNtTfFoO'],
  resolve: (source) => BOOLS.get(source) ?? NOT_RESOLVED,
  identify: () => false,
});

/** A whole number in any of the forms of Go's strconv.ParseInt with base 0, underscores removed; undefined for other text. */
export function parseGoInt(text: string): number | undefined {
  const match = /^([+-]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)$/.exec(text.replaceAll('_', ''));
  if (match === null || !/^[+-]?[0-9]/.test(text)) return undefined;
  const digits = match[2] ?? '';
  const magnitude = /^0[0-7]/.test(digits) ? Number.parseInt(digits, 8) : Number(digits);
  return match[1] === '-' ? -magnitude : magnitude;
}

const FLOAT = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const SPECIAL: ReadonlyMap<string, number> = new Map([
  ...['.nan', '.NaN', '.NAN'].map((word): [string, number] => [word, Number.NaN]),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((word): [string, number] => [
    word,
    Number.POSITIVE_INFINITY,
  ]),
  ...['-.inf', '-.Inf', '-.INF'].map((word): [string, number] => [word, Number.NEGATIVE_INFINITY]),
]);

export function parseGoFloat(text: string): number | undefined {
  const special = SPECIAL.get(text);
  if (special !== undefined) return special;
  const plain = text.replaceAll('_', '');
  return FLOAT.test(plain) && /^[-+.0-9]/.test(text) ? Number(plain) : undefined;
}

const intTag = defineScalarTag<number>('tag:yaml.org,2002:int', {
  implicit: true,
  implicitFirstChars: [...'+-0123456789'],
  resolve: (source) => parseGoInt(source) ?? NOT_RESOLVED,
  identify: () => false,
});
const floatTag = defineScalarTag<number>('tag:yaml.org,2002:float', {
  implicit: true,
  implicitFirstChars: [...'+-.0123456789'],
  resolve: (source) => parseGoFloat(source) ?? NOT_RESOLVED,
  identify: () => false,
});

const GO_SCHEMA = CORE_SCHEMA.withTags(boolTag, intTag, floatTag, mergeTag);
const OPTIONS = { schema: GO_SCHEMA, json: true, maxAliases: 1000, maxDepth: 100 };

/** True for a string that go-yaml would read back as something else than a string. */
export function looksTyped(text: string): boolean {
  return (
    text === '' ||
    text === '~' ||
    /^(null|Null|NULL)$/.test(text) ||
    BOOLS.has(text) ||
    parseGoInt(text) !== undefined ||
    parseGoFloat(text) !== undefined
  );
}

/** Reads one YAML document as Go's `sigs.k8s.io/yaml` does: YAML 1.1 scalars, the last of two equal keys wins. Throws `YAMLException`. */
export function readYaml(text: string, filename?: string): unknown {
  if (text.length > MAX_YAML) throw new RangeError(`YAML document is longer than ${MAX_YAML} characters`);
  if (/^(\s|#[^\n]*\n|---[ \t]*\n)*(#[^\n]*)?$/.test(text)) return null;
  return load(text, { ...OPTIONS, filename });
}
