import { FunctionError } from './errors.ts';

export interface Version {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly prerelease: string;
  readonly metadata: string;
  readonly original: string;
}

const VERSION =
  /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?$/;

/** Reads a version; a missing minor or patch is 0 and a leading `v` is allowed. Throws `FunctionError`. */
export function parseVersion(text: string): Version {
  const match = text.length > 256 ? null : VERSION.exec(text);
  if (match === null) throw new FunctionError('invalid semantic version');
  return {
    major: Number(match[1]),
    minor: Number(match[2] ?? 0),
    patch: Number(match[3] ?? 0),
    prerelease: match[4] ?? '',
    metadata: match[5] ?? '',
    original: text,
  };
}

export function versionText(version: Version): string {
  return `${version.major}.${version.minor}.${version.patch}${version.prerelease === '' ? '' : `-${version.prerelease}`}${version.metadata === '' ? '' : `+${version.metadata}`}`;
}

/** Order of semver.org, section 11. */
export function compareVersions(a: Version, b: Version): number {
  const core = a.major - b.major || a.minor - b.minor || a.patch - b.patch;
  if (core !== 0) return Math.sign(core);
  if (a.prerelease === b.prerelease) return 0;
  if (a.prerelease === '') return 1;
  if (b.prerelease === '') return -1;
  const x = a.prerelease.split('.');
  const y = b.prerelease.split('.');
  for (let i = 0; i < Math.max(x.length, y.length); i++) {
    const p = x[i];
    const q = y[i];
    if (p === undefined) return -1;
    if (q === undefined) return 1;
    if (p === q) continue;
    const pn = /^\d+$/.test(p);
    const qn = /^\d+$/.test(q);
    if (pn && qn) return Math.sign(Number(p) - Number(q));
    if (pn !== qn) return pn ? -1 : 1;
    return p < q ? -1 : 1;
  }
  return 0;
}

interface Bound {
  readonly operator: string;
  readonly version: Version;
  /** How many parts the constraint names: 0 for `*`, 1 for `1` or `1.x`, 2 for `1.2`, 3 for all. */
  readonly parts: number;
}

const BOUND =
  /^(=|==|!=|>|<|>=|=>|<=|=<|~|~>|\^)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/;

function parseBound(text: string): Bound {
  const match = BOUND.exec(text.trim());
  if (match === null) throw new FunctionError(`improper constraint: ${JSON.stringify(text)}`);
  const numbers = [match[2], match[3], match[4]];
  const wild = numbers.findIndex((part) => part === undefined || /^[xX*]$/.test(part));
  const parts = wild === -1 ? 3 : wild;
  const number = (i: number) => (i < parts ? Number(numbers[i]) : 0);
  return {
    operator: match[1] ?? '',
    version: {
      major: number(0),
      minor: number(1),
      patch: number(2),
      prerelease: match[5] ?? '',
      metadata: '',
      original: text,
    },
    parts,
  };
}

function satisfies(version: Version, bound: Bound): boolean {
  // A pre-release satisfies only a constraint that has a pre-release itself.
  if (version.prerelease !== '' && bound.version.prerelease === '') return false;
  const order = compareVersions(version, bound.version);
  const same = (parts: number) =>
    (parts < 1 || version.major === bound.version.major) &&
    (parts < 2 || version.minor === bound.version.minor) &&
    (parts < 3 || version.patch === bound.version.patch);
  switch (bound.operator) {
    case '!=':
      return bound.parts === 3 ? order !== 0 : !same(bound.parts);
    case '>':
      return bound.parts === 3 ? order > 0 : order > 0 && !same(bound.parts);
    case '<':
      return order < 0;
    case '>=':
    case '=>':
      return order >= 0;
    case '<=':
    case '=<':
      return bound.parts === 3 ? order <= 0 : order <= 0 || same(bound.parts);
    case '~':
    case '~>':
      return order >= 0 && same(Math.min(bound.parts, 2));
    case '^': {
      if (order < 0) return false;
      if (bound.version.major > 0 || bound.parts < 2) return same(Math.min(bound.parts, 1));
      if (bound.version.minor > 0 || bound.parts < 3) return same(2);
      return same(3);
    }
    default:
      return bound.parts === 3 ? order === 0 : same(bound.parts);
  }
}

/** Constraint language of Masterminds/semver: `||`, commas or spaces for "and", hyphen ranges, `x` and `*`, `~`, `^`. */
export function matchesConstraint(constraint: string, version: Version): boolean {
  if (constraint.length > 1000) throw new FunctionError('constraint is longer than 1000 characters');
  return constraint.split('||').some((alternative) => {
    const plain = alternative.replace(/(\S+)\s+-\s+(\S+)/g, '>=$1 <=$2').replace(/([=!<>~^])\s+/g, '$1');
    const bounds = plain.split(/[,\s]+/).filter((part) => part !== '');
    if (bounds.length === 0) throw new FunctionError(`improper constraint: ${JSON.stringify(constraint)}`);
    return bounds.every((part) => satisfies(version, parseBound(part)));
  });
}
