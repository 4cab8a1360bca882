import { type Explanation, explain, RequestError } from '@istio-ts/simulate';
import { CliError } from '../cli/failure.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { assignmentsOf, clustersOf, listenersOf, routesOf } from '@istio-ts/envoy-dump/config-dump';
import { dumpOf } from './proxy-config.ts';

export interface SimulateFlags {
  readonly output: string;
  readonly proxyAdminPort: string;
  readonly file?: string;
  readonly method: string;
  readonly header?: readonly string[];
  readonly inbound?: boolean;
  readonly from?: string;
  readonly claims?: string;
}

/** `name: value` or `name=value`; raises CliError. */
function headersOf(given: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    given.map((header) => {
      const [, name = '', value = ''] = /^\s*(:?[^:=\s]+)\s*[:=]\s*(.*)$/.exec(header) ?? [];
      if (name === '') throw new CliError(`--header: "${header}" is no header; write it as "x-user: anna"`);
      return [name, value];
    }),
  );
}

function claimsOf(given: string | undefined): Readonly<Record<string, unknown>> | undefined {
  if (given === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(given);
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims))
      return claims as Readonly<Record<string, unknown>>;
  } catch {
    // Told below, as what is JSON but no object.
  }
  throw new CliError(`--claims: give a JSON object, for example '{"iss":"me","groups":["admins"]}'`);
}

/** SPIFFE identity of `--from`: itself, or that of a service account written as NAMESPACE/ACCOUNT in the default trust domain. */
function callerOf(given: string | undefined): string | undefined {
  if (given === undefined || given.startsWith('spiffe://')) return given;
  const [, namespace, account] = /^([^/]+)\/([^/]+)$/.exec(given) ?? [];
  if (account === undefined)
    throw new CliError(`--from: "${given}" is neither NAMESPACE/SERVICE-ACCOUNT nor a SPIFFE identity`);
  return `spiffe://cluster.local/ns/${namespace}/sa/${account}`;
}

const marks = { matched: '✔', passed: '✔', changed: '✎', unknown: '?', denied: '✘', failed: '✘' } as const;
const colourOf = { matched: 32, passed: 32, changed: 36, unknown: 33, denied: 31, failed: 31 } as const;

/** The steps as text, a line each, with what decided and what did not. */
export function simulationText({ steps, summary, status }: Explanation, colours: boolean): string {
  const paint = (code: number, text: string): string => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
  const lines = steps.flatMap((step) => [
    `${paint(colourOf[step.verdict], marks[step.verdict])} ${step.stage.padEnd(12)} ${step.text}`,
    ...step.from.map(({ kind, namespace, name }) => `${' '.repeat(15)}by ${kind} ${namespace}/${name}`),
    ...step.others.slice(0, 5).map(({ name, why }) => `${' '.repeat(15)}${paint(2, `not ${name}: ${why}`)}`),
    ...(step.others.length > 5
      ? [`${' '.repeat(15)}${paint(2, `and ${step.others.length - 5} more were not it`)}`]
      : []),
  ]);
  const ends =
    status === undefined
      ? summary
      : status === 0
        ? `No answer. ${summary}`
        : `Status ${status}. ${summary.replace(/^\d{3}: /, '')}`;
  return `${lines.join('\n')}\n\n${ends}\n`;
}

/** `istioctl experimental simulate POD URL`: what a pod's Envoy does with a request, and which objects decide it. */
export async function runSimulate(
  session: Session,
  flags: SimulateFlags,
  ...targets: readonly (string | undefined)[]
): Promise<number> {
  const given = targets.filter((target) => target !== undefined);
  const [pod, url] = flags.file === undefined ? given : [undefined, given[0]];
  if (url === undefined)
    throw new CliError('give a pod and a URL: istioctl x simulate deploy/frontend.shop http://cart:7070/');
  const format = formatFrom(flags.output, ['short', 'json', 'yaml']);
  const caller = callerOf(flags.from);
  const claims = claimsOf(flags.claims);
  const dump = await dumpOf(session, flags, pod);
  try {
    const explanation = explain(
      {
        listeners: listenersOf(dump),
        routes: routesOf(dump),
        clusters: clustersOf(dump),
        assignments: assignmentsOf(dump),
      },
      {
        direction: flags.inbound === true || caller !== undefined ? 'inbound' : 'outbound',
        method: flags.method,
        url,
        headers: headersOf(flags.header ?? []),
        ...(caller !== undefined && { caller }),
        ...(claims !== undefined && { claims }),
      },
    );
    session.out(format === 'short' ? simulationText(explanation, session.colours) : structured(explanation, format));
    return 0;
  } catch (error) {
    if (error instanceof RequestError) throw new CliError(error.message);
    throw error;
  }
}
