import {
  binaryTag,
  boolYaml11Tag,
  defineScalarTag,
  FAILSAFE_SCHEMA,
  load,
  mergeTag,
  NOT_RESOLVED,
  nullYaml11Tag,
  type Schema,
  YAMLException,
} from 'js-yaml';

/** YAML that cannot be read. `line` counts from 1, and so does `column`, where the reader tells it. */
export class YamlError extends Error {
  readonly file: string;
  readonly line: number;
  readonly reason: string;
  readonly column: number | undefined;
  constructor(file: string, line: number, reason: string, column?: number) {
    super(`${file}:${line}: ${reason}`);
    this.name = 'YamlError';
    this.file = file;
    this.line = line;
    this.reason = reason;
    this.column = column;
  }
}

// Kubernetes reads YAML with sigs.k8s.io/yaml, that is go-yaml v2: booleans of YAML 1.1 (yes, on, y), numbers as Go's
// strconv reads them (010 and 0o10 are octal, 1e3 is a float, underscores allowed), no base 60, timestamps stay text.
const goIntegers = /^[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[1-9][0-9_]*|0)$/;
const goFloats = /^[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$/;
const numeric = '-+.0123456789'.split('');

const intTag = defineScalarTag<number>('tag:yaml.org,2002:int', {
  implicit: true,
  implicitFirstChars: numeric.filter((c) => c !== '.'),
  resolve: (source) => (goIntegers.test(source) ? parseGoInteger(source) : NOT_RESOLVED),
  identify: (value) => Number.isInteger(value),
  represent: (value) => String(value),
});

const floatTag = defineScalarTag<number>('tag:yaml.org,2002:float', {
  implicit: true,
  implicitFirstChars: numeric,
  resolve: (source) => {
    if (goFloats.test(source)) return Number(source.replaceAll('_', ''));
    return NOT_RESOLVED;
  },
  identify: (value) => typeof value === 'number',
  represent: (value) => String(value),
});

function parseGoInteger(source: string): number {
  const negative = source.startsWith('-');
  const digits = source.replace(/^[-+]/, '').replaceAll('_', '').toLowerCase();
  const value = /^0[xbo]/.test(digits)
    ? Number(digits)
    : digits.length > 1 && digits.startsWith('0')
      ? Number.parseInt(digits, 8)
      : Number(digits);
  return negative ? -value : value;
}

/** Scalars and mappings as Kubernetes reads them. */
export const kubernetesSchema: Schema = FAILSAFE_SCHEMA.withTags(
  nullYaml11Tag,
  boolYaml11Tag,
  intTag,
  floatTag,
  mergeTag,
  binaryTag,
);

/** Nesting and alias limits: no real manifest comes near, and a hostile one must not exhaust the process. */
const limits = { maxDepth: 100, maxAliases: 1000, maxTotalMergeKeys: 10_000 };

/**
 * Reads one YAML (or JSON) document as Kubernetes does. `firstLine` is the line of the file on which `text` starts.
 * Throws `YamlError`.
 */
export function parseYaml(text: string, file: string, firstLine = 1): unknown {
  try {
    return load(text, { schema: kubernetesSchema, ...limits });
  } catch (error) {
    if (error instanceof YAMLException) {
      const column = error.mark === undefined ? undefined : error.mark.column + 1;
      throw new YamlError(file, firstLine + (error.mark?.line ?? 0), error.reason, column);
    }
    throw new YamlError(file, firstLine, error instanceof Error ? error.message : String(error));
  }
}
