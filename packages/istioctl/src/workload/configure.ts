import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { decodeAndValidate } from '@istio-ts/api/objects';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, type KubeClient, type KubeObject, parseManifests, parseYaml } from '@istio-ts/kube';
import { dump } from 'js-yaml';
import { wholeNumber } from '../cli/duration.ts';
import { CliError, unreadable, usageExitCode } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { clusterEnv, hostsFile, istiodHost, type MachineInputs, machineMeshConfig } from './machine-files.ts';

export interface ConfigureFlags {
  readonly file?: string;
  readonly name?: string;
  readonly output?: string;
  readonly clusterID?: string;
  readonly ingressIP?: string;
  readonly ingressService: string;
  readonly internalIP?: string;
  readonly externalIP?: string;
  readonly autoregister?: boolean;
  readonly captureDns: boolean;
  readonly tokenDuration: string;
  readonly revision?: string;
}

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const textOf = (value: unknown): string | undefined => (typeof value === 'string' && value !== '' ? value : undefined);

function address(value: string | undefined, flag: string): string | undefined {
  if (value !== undefined && isIP(value) === 0)
    throw new CliError(`${flag}: "${value}" is not an IP address`, usageExitCode);
  return value;
}

/** Runs a read; raises CliError with `missing` when the object does not exist. */
async function existing<T>(work: Promise<T>, missing: string): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (isNotFound(error)) throw new CliError(missing);
    throw error;
  }
}

async function readGroup(session: Session, flags: ConfigureFlags): Promise<MachineInputs['group']> {
  const object = await groupObject(session, flags);
  const { value, problems } = decodeAndValidate('WorkloadGroup', object);
  const errors = problems.filter(({ severity }) => severity === 'error');
  if (errors.length > 0)
    throw new CliError(
      `WorkloadGroup ${object.metadata.name}: ${errors.map(({ path, message }) => `${path}: ${message}`).join('; ')}`,
    );
  return {
    name: object.metadata.name ?? '',
    namespace: object.metadata.namespace ?? session.namespace(),
    spec: value.spec,
  };
}

async function groupObject(session: Session, flags: ConfigureFlags): Promise<KubeObject> {
  if (flags.file !== undefined) {
    let text: string;
    try {
      text = readFileSync(flags.file === '-' ? 0 : flags.file, 'utf8');
    } catch (error) {
      throw new CliError(`-f ${flags.file}: ${unreadable(error)}`);
    }
    const groups = parseManifests(text, flags.file).filter(({ kind }) => kind === 'WorkloadGroup');
    const found = flags.name === undefined ? groups : groups.filter(({ metadata }) => metadata.name === flags.name);
    const [group, another] = found;
    if (!group)
      throw new CliError(`-f ${flags.file}: there is no WorkloadGroup${flags.name ? ` ${flags.name}` : ''} in it`);
    if (another) throw new CliError(`-f ${flags.file}: there are several WorkloadGroups in it: choose one with --name`);
    return group;
  }
  if (flags.name === undefined)
    throw new CliError('give a WorkloadGroup: -f FILE, or --name NAME with -n NAMESPACE', usageExitCode);
  const namespace = session.namespace();
  return existing(
    session.client().get(istioTypes.WorkloadGroup, flags.name, namespace),
    `there is no WorkloadGroup ${flags.name} in namespace ${namespace}`,
  );
}

async function readMesh(client: KubeClient, namespace: string, flags: ConfigureFlags): Promise<MachineInputs['mesh']> {
  const revision = flags.revision || 'default';
  const suffix = revision === 'default' ? '' : `-${revision}`;
  const config = await existing(
    client.get(kubernetesTypes.ConfigMap, `istio${suffix}`, namespace),
    `namespace ${namespace} has no ConfigMap istio${suffix} with the mesh's configuration: is Istio installed there${suffix && ` with revision ${revision}`}?`,
  );
  const mesh = fieldsOf(parseYaml(textOf(fieldsOf(config.data).mesh) ?? '{}', `ConfigMap istio${suffix}`));
  const proxyConfig = fieldsOf(mesh.defaultConfig);
  const global = await injectionGlobals(client, namespace, suffix);
  const clusterId = flags.clusterID ?? textOf(fieldsOf(global.multiCluster).clusterName) ?? 'Kubernetes';
  const meshId = textOf(proxyConfig.meshId) ?? textOf(global.meshID);
  const network = textOf(global.network);
  return {
    istioNamespace: namespace,
    revision,
    trustDomain: textOf(mesh.trustDomain) ?? 'cluster.local',
    clusterId,
    proxyConfig,
    ...(meshId !== undefined && { meshId }),
    ...(network !== undefined && { network }),
  };
}

/** `global` of the values that pods are injected with; empty where there is no injector. */
async function injectionGlobals(client: KubeClient, namespace: string, suffix: string): Promise<Fields> {
  try {
    const { data } = await client.get(kubernetesTypes.ConfigMap, `istio-sidecar-injector${suffix}`, namespace);
    return fieldsOf(fieldsOf(JSON.parse(textOf(fieldsOf(data).values) ?? '{}')).global);
  } catch (error) {
    if (isNotFound(error) || error instanceof SyntaxError) return {};
    throw error;
  }
}

/** Address of the load balancer in front of the control plane; undefined where it has none, or none yet. */
async function serviceAddress(client: KubeClient, name: string, namespace: string): Promise<string | undefined> {
  try {
    const { status } = await client.get(kubernetesTypes.Service, name, namespace);
    const [ingress] = (fieldsOf(fieldsOf(status).loadBalancer).ingress ?? []) as readonly Fields[];
    return textOf(ingress?.ip);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function requestToken(client: KubeClient, group: MachineInputs['group'], seconds: number): Promise<string> {
  const account = group.spec.template.serviceAccount || 'default';
  const path = `/api/v1/namespaces/${encodeURIComponent(group.namespace)}/serviceaccounts/${encodeURIComponent(account)}/token`;
  const answer = await existing(
    client.request('POST', path, {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: ['istio-ca'], expirationSeconds: seconds },
    }),
    `there is no service account ${account} in namespace ${group.namespace}: the machine would have no identity`,
  );
  const token = textOf(fieldsOf(fieldsOf(answer).status).token);
  if (token === undefined) throw new CliError(`the API server gave no token for service account ${account}`);
  return token;
}

/** `istioctl experimental workload entry configure`: writes the files of a machine into a folder. Raises CliError. */
export async function runWorkloadEntryConfigure(session: Session, flags: ConfigureFlags): Promise<number> {
  const { output } = flags;
  if (!output) throw new CliError('-o is missing: the folder to write the files into', usageExitCode);
  const seconds = wholeNumber(flags.tokenDuration, '--tokenDuration', { min: 600, max: 2 ** 31 });
  const internalIp = address(flags.internalIP, '--internalIP');
  const externalIp = address(flags.externalIP, '--externalIP');
  const givenIngress = address(flags.ingressIP, '--ingressIP');
  const client = session.client();
  const { istioNamespace } = session.flags;
  const group = await readGroup(session, flags);
  const mesh = await readMesh(client, istioNamespace, flags);
  const ingressIp = givenIngress ?? (await serviceAddress(client, flags.ingressService, istioNamespace));
  const inputs: MachineInputs = {
    group,
    mesh,
    autoregister: flags.autoregister === true,
    captureDns: flags.captureDns,
    ...(internalIp !== undefined && { internalIp }),
    ...(externalIp !== undefined && { externalIp }),
    ...(ingressIp !== undefined && { ingressIp }),
  };
  const roots = await existing(
    client.get(kubernetesTypes.ConfigMap, 'istio-ca-root-cert', group.namespace),
    `namespace ${group.namespace} has no ConfigMap istio-ca-root-cert yet: istiod makes it in every namespace; does it run?`,
  );
  const rootCertificate = textOf(fieldsOf(roots.data)['root-cert.pem']);
  if (rootCertificate === undefined)
    throw new CliError(`ConfigMap istio-ca-root-cert in namespace ${group.namespace} has no key root-cert.pem`);
  const token = await requestToken(client, group, seconds);

  mkdirSync(output, { recursive: true });
  const files: Readonly<Record<string, string>> = {
    'cluster.env': clusterEnv(inputs),
    'mesh.yaml': dump(machineMeshConfig(inputs), { lineWidth: -1, noRefs: true }),
    'root-cert.pem': rootCertificate,
    hosts: hostsFile(inputs),
    'istio-token': token,
  };
  for (const [name, text] of Object.entries(files)) {
    const file = join(output, name);
    const mode = name === 'istio-token' ? 0o600 : 0o644;
    // An older file keeps its mode when it is written over: it gets the right one before the token is in it.
    if (existsSync(file)) chmodSync(file, mode);
    writeFileSync(file, text, { mode });
  }
  session.out(`Wrote ${Object.keys(files).join(', ')} into ${output}.\n`);
  session.out(`The token is valid for ${seconds}s: the machine has to start its proxy before it ends.\n`);
  if (ingressIp === undefined)
    session.err(
      `Warning: Service ${istioNamespace}/${flags.ingressService} has no address of a load balancer, so ${output}/hosts is empty: give --ingressIP, or write the address of ${istiodHost(istioNamespace, mesh.revision)} into it yourself.\n`,
    );
  if (flags.autoregister)
    session.err(
      `Warning: --autoregister: istiod does not make WorkloadEntries for machines that connect yet. The files ask for it, but until then write a WorkloadEntry with the machine's address, the labels of WorkloadGroup ${group.name} and its service account yourself.\n`,
    );
  return 0;
}
