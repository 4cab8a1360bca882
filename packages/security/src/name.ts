import { children, expectTag, oid, readOid, readText, sequence, set, Tag, utf8String } from './der.ts';
import type { DerValue } from './der.ts';
import { Oid } from './oids.ts';

/**
 * What the CA writes into the subject of a workload's certificate, so that the peer's proxy can name the workload
 * in metrics without anything on the wire that the peer could make up. Missing fields are left out of the subject.
 */
export interface WorkloadSubject {
  /** CN: name of the workload (the Deployment's, not the pod's). */
  readonly workload?: string;
  /** OU: canonical service name. */
  readonly canonicalName?: string;
  /** L: version (canonical revision). */
  readonly version?: string;
  /** ST: cluster id. */
  readonly cluster?: string;
  /** title: the label `app`, where that is another than the canonical name; empty: the workload has no such label. */
  readonly app?: string;
  /** description: the label `version`, where that is another than the canonical revision; empty: the workload has no such label. */
  readonly versionLabel?: string;
}

/** Stands for a label that a workload does not have; no label can have this value. */
const NO_LABEL = '-';
/** Canonical revision of workloads that have none. */
const NO_REVISION = 'latest';

/** One attribute of a distinguished name, in the certificate's order. */
export interface NameAttribute {
  readonly type: string;
  readonly value: string;
}

/** RFC 5280, appendix A: ub-common-name and ub-organizational-unit-name; used for all four fields. */
const MAX_ATTRIBUTE = 64;

/**
 * A value as it may stand in the subject: only characters that need no escaping in RFC 4514 text, in an `x-forwarded-client-cert`
 * header or in a regular expression's class `[^,]*`; others become `_`.
 */
export function sanitizeAttribute(value: string): string {
  return value.replace(/[^A-Za-z0-9._:@-]/g, '_').slice(0, MAX_ATTRIBUTE);
}

export function workloadName(subject: WorkloadSubject): readonly NameAttribute[] {
  const { canonicalName = '', version = '' } = subject;
  const own = (label: string | undefined, canonical: string): string | undefined =>
    label === undefined || label === canonical ? undefined : label || NO_LABEL;
  const fields: readonly (readonly [string, string | undefined])[] = [
    [Oid.description, own(subject.versionLabel, version === NO_REVISION ? '' : version)],
    [Oid.title, own(subject.app, canonicalName)],
    [Oid.state, subject.cluster],
    [Oid.locality, subject.version],
    [Oid.organizationalUnit, subject.canonicalName],
    [Oid.commonName, subject.workload],
  ];
  return fields.flatMap(([type, value]) => (value ? [{ type, value: sanitizeAttribute(value) }] : []));
}

export function encodeName(attributes: readonly NameAttribute[]): Buffer {
  return sequence(...attributes.map(({ type, value }) => set(sequence(oid(type), utf8String(value)))));
}

export function decodeName(value: DerValue | undefined): readonly NameAttribute[] {
  return children(expectTag(value, Tag.sequence, 'name')).flatMap((rdn) =>
    children(expectTag(rdn, Tag.set, 'relative name')).map((pair) => {
      const [type, text] = children(expectTag(pair, Tag.sequence, 'attribute'));
      return { type: readOid(type, 'attribute type'), value: text === undefined ? '' : readText(text) };
    }),
  );
}

const SHORT_NAMES: Readonly<Record<string, string>> = {
  [Oid.commonName]: 'CN',
  [Oid.country]: 'C',
  [Oid.locality]: 'L',
  [Oid.state]: 'ST',
  [Oid.organization]: 'O',
  [Oid.organizationalUnit]: 'OU',
  [Oid.title]: 'title',
  [Oid.description]: 'description',
};

/** Text form with the most specific attribute first (RFC 4514), as Envoy prints it. */
export function formatName(attributes: readonly NameAttribute[]): string {
  return [...attributes]
    .reverse()
    .map(({ type, value }) => `${SHORT_NAMES[type] ?? type}=${value.replace(/[,+"\\<>;]/g, '\\$&')}`)
    .join(',');
}

/** The subject read back. */
export function workloadSubjectOf(attributes: readonly NameAttribute[]): WorkloadSubject {
  const find = (type: string): string | undefined => attributes.find((attribute) => attribute.type === type)?.value;
  const label = (type: string): string | undefined => find(type)?.replace(/^-$/, '');
  const [app, versionLabel] = [label(Oid.title), label(Oid.description)];
  return {
    ...(app !== undefined && { app }),
    ...(versionLabel !== undefined && { versionLabel }),
    workload: find(Oid.commonName),
    canonicalName: find(Oid.organizationalUnit),
    version: find(Oid.locality),
    cluster: find(Oid.state),
  };
}
