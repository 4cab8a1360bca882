import { decodeAndValidate } from '@istio-ts/api';
import type { FieldProblem } from '@istio-ts/api/problems';
import type { KubeObject } from '@istio-ts/kube/object';

/** Kinds of policies that would open something if they were ignored. */
export const closingKinds = ['AuthorizationPolicy', 'PeerAuthentication', 'RequestAuthentication'] as const;
export type ClosingKind = (typeof closingKinds)[number];

export const isClosingKind = (kind: string): kind is ClosingKind => (closingKinds as readonly string[]).includes(kind);

/** What is wrong with a policy: a field that is not known, too, because nobody can say what it was to refuse. */
export const wrongParts = (problems: readonly FieldProblem[]): readonly FieldProblem[] =>
  problems.filter(({ severity, about }) => severity === 'error' || about === 'unknown');

/** What is in force instead of a policy that was never right. */
export interface StandIn {
  readonly spec: unknown;
  /** What the policy does until it is right, to go behind what is wrong with it. */
  readonly meanwhile: string;
}

/**
 * What stands in for a policy that is wrong from its first version on, so that it refuses at least what it was to refuse:
 * - an AuthorizationPolicy that allows, or of whose action nobody knows, allows nothing; in others what is wrong is taken to match everything;
 * - a mode of a PeerAuthentication that is wrong, and that of a port that is none, is STRICT;
 * - rules of a RequestAuthentication with something wrong in them have no keys, so that every token is refused; headers for claims stay taken out.
 * A wrong part of a selector or a wrong reference selects more, at most the whole namespace (or mesh, for the root namespace). Undefined for other kinds,
 * and for policies whose only fault is that they have no rules: these are in force as they stand, for they match nothing (Authorization Policy reference).
 */
export function standInFor(kind: string, object: KubeObject): StandIn | undefined {
  if (!isClosingKind(kind)) return undefined;
  switch (kind) {
    case 'AuthorizationPolicy':
      return authorization(object);
    case 'PeerAuthentication': {
      const strict = { mtls: { mode: 'STRICT' } };
      const spec = isFields(object.spec) ? mended(kind, object, fieldsOf(object.spec), mutualTls) : strict;
      return {
        spec: spec ?? strict,
        meanwhile: 'until it is right, STRICT holds where this part was to say what holds',
      };
    }
    case 'RequestAuthentication': {
      const keyless = { jwtRules: [{ issuer: NO_ISSUER, jwks: NO_KEYS }] };
      const spec = isFields(object.spec) ? mended(kind, object, fieldsOf(object.spec), tokens) : keyless;
      return { spec: spec ?? keyless, meanwhile: 'until it is right, every token that the rule is about is refused' };
    }
    default:
      return kind satisfies never;
  }
}

type Fields = Record<string, unknown>;
type Segment = string | number;

/** A value that is taken out of its list when all of a round are. */
const GONE = Symbol('gone');

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const fieldsOf = (value: unknown): Fields => (isFields(value) ? (structuredClone(value) as Fields) : {});

/** `spec.a[0]["b.c"]` as its parts behind `spec`. */
function segmentsOf(path: string): readonly Segment[] {
  const parts = [...path.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[\]]+)/g)];
  return parts
    .map(([, index, quoted, name]): Segment => {
      if (index !== undefined) return Number(index);
      return quoted === undefined ? (name ?? '') : String(JSON.parse(quoted));
    })
    .slice(1);
}

/** Changes `spec` so that what stands at `at` is no longer wrong. */
type Mend = (spec: Fields, at: readonly Segment[]) => void;

/** Rounds after which the readable parts of a hostile object are given up; each takes out up to a hundred faults, and a fault has few fields around it. */
const MAX_ROUNDS = 32;

function mended(kind: ClosingKind, object: KubeObject, spec: Fields, mend: Mend): Fields | undefined {
  let current = spec;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const { value, problems } = decodeAndValidate(kind, { ...object, spec: current });
    const wrong = wrongParts(problems);
    if (wrong.length === 0) return value.spec as Fields;
    for (const { path } of wrong) {
      const at = segmentsOf(path);
      if (!attachment(current, at)) mend(current, at);
    }
    current = compact(current) as Fields;
  }
  return undefined;
}

function compact(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => item !== GONE).map(compact);
  if (!isFields(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== GONE)
      .map(([key, item]) => [key, compact(item)]),
  );
}

/** Whom a policy is for: a label that is wrong is left out, references are left out together. */
function attachment(spec: Fields, [first, second, third]: readonly Segment[]): boolean {
  switch (first) {
    case undefined:
      // Several of them, of which only one may be set.
      for (const name of ['selector', 'targetRef', 'targetRefs']) delete spec[name];
      return true;
    case 'selector': {
      const labels = isFields(spec.selector) ? spec.selector.matchLabels : undefined;
      if (second === 'matchLabels' && typeof third === 'string' && isFields(labels) && third in labels)
        delete labels[third];
      else delete spec.selector;
      return true;
    }
    case 'targetRef':
    case 'targetRefs':
      delete spec[first];
      return true;
    default:
      return false;
  }
}

const child = (value: unknown, key: Segment | undefined): unknown => {
  if (key === undefined) return undefined;
  if (Array.isArray(value)) return typeof key === 'number' ? value[key] : undefined;
  return isFields(value) ? value[key] : undefined;
};

/** Takes an item out of its list, or a field out of its object. */
function take(parent: unknown, key: Segment): void {
  if (Array.isArray(parent)) {
    if (typeof key === 'number' && key < parent.length) parent[key] = GONE;
  } else if (isFields(parent)) delete parent[key];
}

const ACTIONS: ReadonlySet<unknown> = new Set(['DENY', 'AUDIT', 'CUSTOM']);
const MEANWHILE: Readonly<Record<string, string>> = {
  DENY: 'until it is right, the policy denies all that the rest of it covers',
  AUDIT: 'until it is right, the policy marks all that the rest of it covers',
  CUSTOM: 'until it is right, the provider is asked about all that the rest of it covers',
};
/** No provider has this name, so what a policy with it covers is refused. */
const NO_PROVIDER = 'none';

function authorization(object: KubeObject): StandIn | undefined {
  const kind = 'AuthorizationPolicy';
  const { rules, provider, ...rest } = fieldsOf(object.spec);
  const { action } = rest;
  if (typeof action !== 'string' || !ACTIONS.has(action)) {
    const closed = mended(kind, object, { ...rest, action: 'ALLOW' }, (spec, [first]) => take(spec, first ?? ''));
    return { spec: closed ?? {}, meanwhile: 'until it is right the policy allows nothing' };
  }
  if (rules === undefined || rules === null || (Array.isArray(rules) && rules.length === 0)) return undefined;
  const named = action === 'CUSTOM' && isFields(provider) && typeof provider.name === 'string' && provider.name !== '';
  const whole = {
    ...rest,
    rules,
    ...(action === 'CUSTOM' && { provider: { name: named ? provider.name : NO_PROVIDER } }),
  };
  const spec = mended(kind, object, whole, matchMore) ?? { ...rest, rules: [{}] };
  const meanwhile =
    action === 'CUSTOM' && !named ? 'until it is right, the policy refuses all that it covers' : MEANWHILE[action];
  return { spec, meanwhile: meanwhile ?? '' };
}

/** Conditions of a rule must all hold, so without one it matches more; of a list one value must match, so all of it goes, of one that excludes only the item. */
function matchMore(spec: Fields, at: readonly Segment[]): void {
  const [first, index, part, item, ...below] = at;
  if (first !== 'rules') {
    take(spec, first ?? '');
    return;
  }
  const rules = spec.rules;
  if (!Array.isArray(rules) || typeof index !== 'number') {
    spec.rules = [{}];
    return;
  }
  const rule: unknown = rules[index];
  if (!isFields(rule) || part === undefined) {
    rules[index] = {};
    return;
  }
  if (item === undefined || (part !== 'from' && part !== 'to' && part !== 'when')) {
    delete rule[part];
    return;
  }
  const entry = child(rule[part], item);
  const [list, value] = part === 'when' ? below : below.slice(1);
  const holder = part === 'when' ? entry : child(entry, below[0]);
  if (typeof list === 'string' && list !== 'key' && isFields(holder) && list in holder) {
    if (/^not[A-Z]/.test(list) && value !== undefined) take(holder[list], value);
    else delete holder[list];
  } else if (part === 'when') take(rule.when, item);
  // One of several sources or operations that matches everything makes all of them do.
  else delete rule[part];
}

const OPEN: ReadonlySet<unknown> = new Set(['UNSET', 'DISABLE', 'PERMISSIVE']);

function mutualTls(spec: Fields, [first, port, field]: readonly Segment[]): void {
  const setStrict = (): void => {
    spec.mtls = { mode: 'STRICT' };
  };
  const mayRefuse = (mtls: unknown): boolean =>
    !isFields(mtls) || Object.keys(mtls).some((key) => key !== 'mode') || !OPEN.has(mtls.mode ?? 'UNSET');
  if (first !== 'portLevelMtls') {
    take(spec, first ?? '');
    setStrict();
    return;
  }
  const ports = spec.portLevelMtls;
  if (!isFields(ports) || port === undefined) {
    if (!isFields(ports) || Object.values(ports).some(mayRefuse)) setStrict();
    delete spec.portLevelMtls;
  } else if (field !== undefined || !isFields(ports[port])) ports[port] = { mode: 'STRICT' };
  else {
    if (mayRefuse(ports[port])) setStrict();
    delete ports[port];
  }
}

/** A key set that has no usable key. */
const NO_KEYS = '{"keys":[{}]}';
/** An issuer that no token names; tokens of issuers that no rule names are refused. */
const NO_ISSUER = 'unreadable';

function tokens(spec: Fields, [first, index, field, item]: readonly Segment[]): void {
  if (first !== 'jwtRules') {
    take(spec, first ?? '');
    return;
  }
  const rules = spec.jwtRules;
  if (!Array.isArray(rules) || typeof index !== 'number') {
    spec.jwtRules = [{ issuer: NO_ISSUER, jwks: NO_KEYS }];
    return;
  }
  const rule: unknown = rules[index];
  if (!isFields(rule)) {
    rules[index] = { issuer: NO_ISSUER, jwks: NO_KEYS };
    return;
  }
  rule.jwks = NO_KEYS;
  delete rule.jwksUri;
  if (field === 'issuer') rule.issuer = NO_ISSUER;
  else if (field !== undefined && field !== 'jwks' && field !== 'jwksUri') {
    if (item !== undefined && Array.isArray(rule[String(field)])) take(rule[String(field)], item);
    else delete rule[String(field)];
  }
}
