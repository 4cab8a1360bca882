import {
  type Analyzer,
  analyze,
  createSnapshot,
  gatewayApiVersion,
  inputsOf,
  localhostListener,
  type Message,
  messageJson,
  parseLevel,
  reaches,
  releaseChanges,
  webhooks,
} from '@istio-ts/analysis';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { VERSION } from '@istio-ts/api/version';
import type { KubeClient, ResourceType } from '@istio-ts/kube';
import { CliError, usageExitCode } from '../cli/failure.ts';
import { structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { obstacleToUpgrade, versionNumbers } from '../install/version-skew.ts';
import { foundIssuesExitCode } from './analyze.ts';
import { readClusterObjects } from './cluster-objects.ts';
import { messageLine } from './message-line.ts';
import { podSockets } from './pod-sockets.ts';

export interface PrecheckFlags {
  readonly fromVersion?: string;
  readonly output: string;
  readonly outputThreshold: string;
  readonly revision?: string;
  readonly skipControlplane?: boolean;
}

/** The oldest Kubernetes that this release is for, as major and minor version. */
const oldestKubernetes = '1.29';

/** What an installation creates; namespaced ones in the namespace of the control plane. */
const created: readonly ResourceType[] = [
  kubernetesTypes.Namespace,
  kubernetesTypes.ClusterRole,
  kubernetesTypes.ClusterRoleBinding,
  kubernetesTypes.CustomResourceDefinition,
  kubernetesTypes.MutatingWebhookConfiguration,
  kubernetesTypes.ValidatingWebhookConfiguration,
  kubernetesTypes.Role,
  kubernetesTypes.RoleBinding,
  kubernetesTypes.ServiceAccount,
  kubernetesTypes.Service,
  kubernetesTypes.Deployment,
  kubernetesTypes.ConfigMap,
];

/** Whether the cluster is new enough for this release. */
async function kubernetesVersion(client: KubeClient): Promise<Analyzer> {
  const { gitVersion = '' } = (await client.request('GET', '/version')) as { readonly gitVersion?: string };
  const found = versionNumbers(gitVersion);
  const oldest = versionNumbers(oldestKubernetes);
  const tooOld =
    found !== undefined &&
    oldest !== undefined &&
    (found.major < oldest.major || (found.major === oldest.major && found.minor < oldest.minor));
  return {
    name: 'precheck.KubernetesVersion',
    description: 'Checks the version of Kubernetes',
    inputs: [],
    run: (context) => {
      if (tooOld)
        context.report(undefined, 'UnsupportedKubernetesVersion', {
          version: gitVersion,
          minimumVersion: oldestKubernetes,
        });
    },
  };
}

/** What of an installation the user may not create. */
async function permissions(client: KubeClient, namespace: string): Promise<Analyzer> {
  const answers = await Promise.all(
    created.map(async (type) => {
      const resourceAttributes = {
        group: type.group,
        version: type.version,
        resource: type.resource,
        verb: 'create',
        ...(type.namespaced && { namespace }),
      };
      const review = await client.create(kubernetesTypes.SelfSubjectAccessReview, {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SelfSubjectAccessReview',
        metadata: {},
        spec: { resourceAttributes },
      });
      const { allowed = false, reason = '' } = (review.status ?? {}) as { allowed?: boolean; reason?: string };
      return { resource: type.group === '' ? type.resource : `${type.resource}.${type.group}`, allowed, reason };
    }),
  );
  return {
    name: 'precheck.Permissions',
    description: 'Checks that the user may create what an installation consists of',
    inputs: [],
    run: (context) => {
      for (const { resource, allowed, reason } of answers)
        if (!allowed)
          context.report(undefined, 'InsufficientPermissions', {
            resource,
            error: `you may not create ${resource}${reason === '' ? '' : ` (${reason})`}`,
          });
    },
  };
}

/** `istioctl experimental precheck`: is the cluster ready for an installation or an upgrade? Ends with 79 when it is not. */
export async function runPrecheck(session: Session, flags: PrecheckFlags): Promise<number> {
  const threshold = parseLevel(flags.outputThreshold);
  if (!threshold)
    throw new CliError(
      `--output-threshold: "${flags.outputThreshold}" is no level: use one of Info, Warning, Error`,
      usageExitCode,
    );
  if (!['log', 'json', 'yaml'].includes(flags.output))
    throw new CliError(`output format "${flags.output}" is not supported: use one of log, json, yaml`, usageExitCode);
  if (flags.fromVersion !== undefined && versionNumbers(flags.fromVersion) === undefined)
    throw new CliError(`--from-version: "${flags.fromVersion}" is no version: write for example 1.29`, usageExitCode);
  const client = session.client();
  const { istioNamespace } = session.flags;
  const own = flags.skipControlplane
    ? []
    : await Promise.all([kubernetesVersion(client), permissions(client, istioNamespace)]);
  const chosen: readonly Analyzer[] = [
    ...own,
    gatewayApiVersion,
    webhooks,
    localhostListener(await podSockets(client)),
    ...(flags.fromVersion === undefined ? [] : [releaseChanges(flags.fromVersion)]),
  ];
  const revision = flags.revision || 'default';
  const name = session.flags.context ?? 'Kubernetes';
  const cluster = await readClusterObjects(client, name, inputsOf(chosen), { namespace: istioNamespace, revision });
  const snapshot = createSnapshot({
    files: [],
    clusters: [cluster],
    revision,
    istioNamespace,
    defaultNamespace: session.namespace(),
  });
  const messages = analyze(snapshot, { analyzers: chosen });
  const shown = messages.filter(({ level }) => reaches(level, threshold));
  const failed = messages.some(({ level }) => reaches(level, 'Error'));
  if (flags.output !== 'log')
    session.out(structured(shown.map(messageJson), flags.output === 'json' ? 'json' : 'yaml'));
  else report(session, shown);
  const obstacle = flags.fromVersion === undefined ? undefined : obstacleToUpgrade(flags.fromVersion, VERSION);
  if (obstacle !== undefined) session.err(`! In place this upgrade is not possible: ${obstacle}.\n`);
  return failed || obstacle !== undefined ? foundIssuesExitCode : 0;
}

function report(session: Session, shown: readonly Message[]): void {
  for (const message of shown) session.out(`${messageLine(message, session.colours)}\n`);
  if (shown.length === 0) {
    session.out(`✔ No issues found when checking the cluster. Istio can be installed or upgraded.\n`);
    session.out('  To get started, see https://istio.io/latest/docs/setup/getting-started/\n');
  } else session.err('\nWhat each code means: https://istio.io/latest/docs/reference/config/analysis/\n');
}
