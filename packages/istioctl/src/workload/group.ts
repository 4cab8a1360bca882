import { dump } from 'js-yaml';
import { CliError, usageExitCode } from '../cli/failure.ts';
import { wholeNumber } from '../cli/duration.ts';
import type { Session } from '../cli/session.ts';

export interface GroupFlags {
  readonly name?: string;
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  readonly ports: readonly string[];
  readonly serviceAccount: string;
  readonly network?: string;
  readonly locality?: string;
  readonly weight?: string;
}

/** Reads `KEY=VALUE` words. Raises CliError, which names the flag. */
export function pairs(words: readonly string[], flag: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    words.map((word) => {
      const [, key, value] = /^([^=]+)[=](.*)$/s.exec(word) ?? [];
      if (key === undefined || value === undefined)
        throw new CliError(`${flag}: "${word}" is not of the form KEY=VALUE`, usageExitCode);
      return [key, value];
    }),
  );
}

/** Names of Kubernetes objects (DNS subdomains of RFC 1123). */
const objectName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** A WorkloadGroup out of flags. Raises CliError. */
export function workloadGroup(flags: GroupFlags, namespace: string): object {
  if (!flags.name) throw new CliError('--name is missing: the name of the group', usageExitCode);
  if (flags.name.length > 253 || !objectName.test(flags.name))
    throw new CliError(
      `--name: "${flags.name}" cannot be the name of an object: use small letters, digits, "-" and "."`,
      usageExitCode,
    );
  const labels = pairs(flags.labels, '--labels');
  const annotations = pairs(flags.annotations, '--annotations');
  const ports = Object.fromEntries(
    Object.entries(pairs(flags.ports, '--ports')).map(([name, port]) => [
      name,
      wholeNumber(port, `--ports ${name}`, { min: 1, max: 65_535 }),
    ]),
  );
  const some = (value: object) => Object.keys(value).length > 0;
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'WorkloadGroup',
    metadata: { name: flags.name, namespace },
    spec: {
      ...((some(labels) || some(annotations)) && {
        metadata: { ...(some(labels) && { labels }), ...(some(annotations) && { annotations }) },
      }),
      template: {
        ...(some(ports) && { ports }),
        ...(flags.network !== undefined && { network: flags.network }),
        ...(flags.locality !== undefined && { locality: flags.locality }),
        ...(flags.weight !== undefined && { weight: wholeNumber(flags.weight, '--weight', { max: 2 ** 32 - 1 }) }),
        serviceAccount: flags.serviceAccount,
      },
    },
  };
}

/** `istioctl experimental workload group create`: prints the object. Raises CliError. */
export async function runWorkloadGroupCreate(session: Session, flags: GroupFlags): Promise<number> {
  if (!session.flags.namespace) throw new CliError('-n is missing: the namespace of the group', usageExitCode);
  session.out(dump(workloadGroup(flags, session.flags.namespace), { lineWidth: -1, noRefs: true }));
  return 0;
}
