import { type Owner, ownerOf } from './owners.ts';
import type { Proof } from './proofs.ts';
import {
  canonicalName,
  type Field,
  type FieldKind,
  fieldKinds,
  fieldsNamed,
  fieldsOf,
  kindOfField,
  networkingKinds,
  prefixOf,
  securityKinds,
  telemetryKinds,
} from './tree.ts';

/** What the table is made of. */
export interface Evidence {
  readonly proofs: readonly Proof[];
  /** The calls of `provesRefusal`. */
  readonly refusals: readonly Proof[];
  /** Whether the tests of a file are a client's view through a real Envoy. */
  readonly throughEnvoy: (file: string) => boolean;
  /** Fields that inputs of golden tests set, as names. */
  readonly inGoldens: ReadonlySet<string>;
  /** Whether the sources of the product mention a field's own name. */
  readonly isRead: (fieldName: string) => boolean;
}

export interface Row {
  readonly field: Field;
  readonly state:
    | 'client through Envoy'
    | 'refused with an error'
    | 'generated text'
    | 'no test names it'
    | 'not built'
    | Owner;
  readonly files: readonly string[];
}

/** A call of `proves` that names what is no field. */
export interface UnknownField {
  readonly proof: Proof;
  readonly message: string;
}

const ownName = (name: string) => name.replace(/=.*/, '').replaceAll('[]', '').split('.').at(-1) ?? '';

/** The calls that name no field of the kinds that have tables. */
export function unknownFields(proofs: readonly Proof[]): readonly UnknownField[] {
  const all = new Map(fieldKinds.map((kind) => [kind, fieldsOf(kind)]));
  return proofs.flatMap((proof) => {
    const name = canonicalName(proof.field);
    const kind = kindOfField(name);
    if (kind && fieldsNamed(name, all.get(kind) ?? []).length > 0) return [];
    return [{ proof, message: `${proof.file}:${proof.line}: there is no field ${proof.field}` }];
  });
}

export function rowsOf(kind: FieldKind, evidence: Evidence): readonly Row[] {
  const fields = fieldsOf(kind);
  const filesByField = (proofs: readonly Proof[]): ReadonlyMap<Field, ReadonlySet<string>> => {
    const found = new Map<Field, Set<string>>();
    for (const proof of proofs) {
      const name = canonicalName(proof.field);
      if (kindOfField(name) !== kind) continue;
      for (const field of fieldsNamed(name, fields)) found.set(field, (found.get(field) ?? new Set()).add(proof.file));
    }
    return found;
  };
  const provenBy = filesByField(evidence.proofs);
  const refusedBy = filesByField(evidence.refusals);
  const set = [...evidence.inGoldens];
  const inGolden = ({ name }: Field) => set.some((golden) => golden === name || golden.startsWith(`${name}.`));
  return fields.map((field) => {
    const files = [...(provenBy.get(field) ?? [])].sort();
    const client = files.filter(evidence.throughEnvoy);
    if (client.length > 0) return { field, state: 'client through Envoy', files: client };
    const refused = [...(refusedBy.get(field) ?? [])].sort();
    if (refused.length > 0) return { field, state: 'refused with an error', files: refused };
    const owner = ownerOf(field.name);
    if (owner !== undefined) return { field, state: owner, files };
    if (files.length > 0 || inGolden(field)) return { field, state: 'generated text', files };
    if (field.description.startsWith('Not built')) return { field, state: 'not built', files };
    // As Istio's documentation has it: the field is there and nothing comes of it.
    if (/^(Ignored|Not used|Not implemented)\b/.test(field.description))
      return { field, state: 'without effect', files };
    return { field, state: evidence.isRead(ownName(field.name)) ? 'no test names it' : 'not built', files };
  });
}

const states: readonly Row['state'][] = [
  'client through Envoy',
  'generated text',
  'no test names it',
  'not built',
  'without effect',
  'refused with an error',
  'ambient mode',
];

/** A page of tables: what it is called and whose fields it lists. */
interface Page {
  readonly title: string;
  readonly kinds: readonly FieldKind[];
}

/** The pages in `docs/`, by the names of their files. */
export const fieldPages = {
  'networking-fields.md': { title: 'Fields of the networking API and their proofs', kinds: networkingKinds },
  'security-fields.md': { title: 'Fields of the security API and their proofs', kinds: securityKinds },
  'telemetry-fields.md': { title: 'Fields of the telemetry API and their proofs', kinds: telemetryKinds },
} as const satisfies Readonly<Record<string, Page>>;

const anchor = (kind: FieldKind) => kind.toLowerCase().replaceAll(/[()]/g, '').replaceAll(' ', '-');

/** The text of a page of `fieldPages`. */
export function fieldTable(evidence: Evidence, page: Page = fieldPages['networking-fields.md']): string {
  const { title } = page;
  const kinds = page.kinds.map((kind) => ({ kind, rows: rowsOf(kind, evidence) }));
  const count = (rows: readonly Row[], state: Row['state']) => rows.filter((row) => row.state === state).length;
  const all = kinds.flatMap(({ rows }) => rows);
  const shown = states.slice(0, 5).concat(states.slice(5).filter((state) => count(all, state) > 0));
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const link = (file: string) => `[${file.split('/').at(-1)}](../${file})`;
  const lines = [
    `# ${title}`,
    '',
    'Written by `npm run docs` out of the schemas (`packages/api`) and of the calls of `proves` in the tests. A field is proven when a client that talks through a real Envoy sees its effect.',
    '',
    '- **client through Envoy**: a test observes the effect, on the local cluster or with an Envoy of its own; the files are named.',
    '- **generated text**: only the Envoy configuration is compared, which Envoy takes.',
    '- **no test names it**: the product reads a field of this name; no test claims its effect.',
    '- **not built**: nothing reads it, or what it is about does not exist yet.',
    '- **without effect**: Istio’s documentation gives it none, or Envoy does.',
    ...(count(all, 'refused with an error') > 0
      ? [
          '- **refused with an error**: stock Envoy can make nothing of it, as Istio’s own no longer can; the named test sees who sets it being told.',
        ]
      : []),
    ...(page.kinds.includes('MeshConfig')
      ? [
          '- **ambient mode**: it belongs to that part of Istio, and is no matter of this table; what of MeshConfig is about certificates and external authorisers stands in [security-fields.md](security-fields.md), what is about logs, metrics and traces in [telemetry-fields.md](telemetry-fields.md).',
        ]
      : []),
    '',
    'A message that several fields share has its fields listed once, at the shortest path; the other places are rows of their own.',
    '',
    `| kind | fields | ${shown.join(' | ')} |`,
    `|---|${'---|'.repeat(shown.length + 1)}`,
    ...kinds.map(
      ({ kind, rows }) =>
        `| [${kind}](#${anchor(kind)}) | ${rows.length} | ${shown.map((state) => count(rows, state)).join(' | ')} |`,
    ),
    '',
  ];
  for (const { kind, rows } of kinds) {
    lines.push(`## ${kind}`, '', '| field | proven by | state |', '|---|---|---|');
    for (const { field, files, state } of rows) {
      const name = field.name.slice(prefixOf(kind).length);
      const as = field.sameAs ? ` (fields as in \`${field.sameAs.slice(prefixOf(kind).length)}\`)` : '';
      lines.push(`| \`${cell(name)}\`${cell(as)} | ${files.map(link).join(', ')} | ${state} |`);
    }
    lines.push('');
  }
  return `${lines.join('\n').trimEnd()}\n`;
}
