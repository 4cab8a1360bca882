import type { LogFindings } from './log-errors.ts';

/** One file of the report, or what there is to say instead of it. */
export interface Entry {
  readonly file: string;
  readonly what: string;
  /** Bytes in the archive; undefined: it could not be had. */
  readonly size: number | undefined;
  readonly failure?: string;
  readonly note?: string;
  readonly findings?: LogFindings;
}

export interface ReportFacts {
  readonly version: string;
  readonly server: string;
  readonly context: string;
  readonly made: Date;
  readonly start: Date | undefined;
  readonly end: Date;
  readonly namespaces: readonly string[];
  readonly pods: { readonly istiod: number; readonly proxies: number };
  readonly entries: readonly Entry[];
  /** Why the report is not complete as a whole. */
  readonly cut?: string;
}

const sizeText = (bytes: number): string =>
  bytes < 1024
    ? `${bytes} B`
    : bytes < 1 << 20
      ? `${(bytes / 1024).toFixed(1)} KiB`
      : `${(bytes / (1 << 20)).toFixed(1)} MiB`;

/** The page that a reader of the report begins with (Markdown). */
export function indexPage(facts: ReportFacts): string {
  const { entries } = facts;
  const noisy = entries
    .filter(({ findings }) => findings && findings.errors + findings.critical > 0)
    .sort((a, b) => weight(b) - weight(a));
  const failed = entries.filter(({ failure }) => failure !== undefined);
  const written = entries.filter(({ size }) => size !== undefined);
  const section = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? [] : [`## ${title}`, '', ...lines, ''];
  return [
    '# Bug report of an Istio mesh',
    '',
    `- made ${facts.made.toISOString()} by istioctl ${facts.version}`,
    `- cluster ${facts.server} (context ${facts.context})`,
    `- logs ${facts.start ? `from ${facts.start.toISOString()} ` : ''}until ${facts.end.toISOString()}`,
    `- ${facts.pods.istiod} pods of istiod, ${facts.pods.proxies} pods with proxies`,
    `- namespaces: ${facts.namespaces.join(', ') || 'none'}`,
    ...(facts.cut === undefined ? [] : [`- not complete: ${facts.cut}`]),
    '',
    ...section(
      'Errors in logs, most first',
      noisy.flatMap(({ file, findings }) => [
        `- \`${file}\`: ${[
          ...(findings && findings.critical > 0 ? [`${findings.critical} critical`] : []),
          `${findings?.errors ?? 0} errors`,
        ].join(', ')}`,
        ...(findings?.examples ?? []).map((line) => `      ${line}`),
      ]),
    ),
    ...section(
      'What could not be had',
      failed.map(({ file, what, failure }) => `- \`${file}\` (${what}): ${failure?.replace(/\s+/g, ' ')}`),
    ),
    ...section(
      'Files',
      [...written]
        .sort((a, b) => (a.file < b.file ? -1 : 1))
        .map(
          ({ file, what, size, note }) => `- \`${file}\` (${sizeText(size ?? 0)}): ${what}${note ? `; ${note}` : ''}`,
        ),
    ),
  ].join('\n');
}

const weight = ({ findings }: Entry): number => (findings?.critical ?? 0) * 1_000_000 + (findings?.errors ?? 0);
