import type { FileObject } from '@istio-ts/analysis/manifest-text';
import { formatProblem, kindOf, validate } from '@istio-ts/api';
import type { JsonObject } from '@istio-ts/charts';
import { describeObject } from '@istio-ts/kube';
import { readService } from '@istio-ts/mesh/kubernetes/facts';
import { fields, textMap } from '@istio-ts/mesh/kubernetes/read';
import { servicePortProtocol } from '@istio-ts/mesh/protocol';
import { CliError, usageExitCode } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { chartsDir } from '../cli/spec-flags.ts';
import { chartDefaults } from '../install/chart-values.ts';
import { validateSpec } from '../install/validate.ts';
import { readManifestFiles, standardInput } from './manifest-files.ts';

/** Something wrong with an object of a manifest, and where. */
export interface ManifestProblem {
  readonly severity: 'error' | 'warning';
  /** Field, for example `spec.ports[0].name`; '' for the object as a whole. */
  readonly path: string;
  readonly message: string;
}

/** `istioctl validate -f FILE...`. Ends with 1 when a file has a mistake; warnings alone are no failure. */
export async function runValidate(session: Session, flags: { readonly filename?: readonly string[] }): Promise<number> {
  const paths = flags.filename ?? [];
  if (paths.length === 0)
    throw new CliError(
      'nothing to validate: name manifests or folders with -f, or - for standard input',
      usageExitCode,
    );
  let failed = 0;
  const files = readManifestFiles(paths, standardInput);
  for (const { file, objects, problems } of files) {
    let errors = 0;
    const tell = (
      line: number,
      about: string,
      { severity, message }: Pick<ManifestProblem, 'severity' | 'message'>,
    ) => {
      if (severity === 'error') errors++;
      session.err(`${paint(session, severity)} ${file}:${line}: ${about}${message}\n`);
    };
    for (const { line, reason } of problems) tell(line, '', { severity: 'error', message: reason });
    for (const entry of objects) {
      for (const problem of manifestProblems(entry, session.flags.istioNamespace)) {
        const line = problem.path === '' ? entry.source.line : entry.source.lineOf(problem.path);
        tell(line, `${describeObject(entry.object)}: `, { ...problem, message: formatProblem(problem) });
      }
    }
    if (errors > 0) failed++;
    else session.out(`"${file}" is valid\n`);
  }
  if (files.length === 0) throw new CliError(`there are no manifests (*.yaml, *.yml, *.json) in ${paths.join(', ')}`);
  if (failed === 0) return 0;
  session.err(`${failed} of ${files.length} ${files.length === 1 ? 'file has' : 'files have'} mistakes\n`);
  return 1;
}

/**
 * What is wrong with one object of a manifest: for Istio's kinds the schema and their rules, for an IstioOperator its settings, for Services the names of
 * their ports, for workloads the labels that telemetry needs. Kinds of others have no problems here.
 */
export function manifestProblems({ object }: FileObject, istioNamespace: string): readonly ManifestProblem[] {
  const { apiVersion, kind, metadata } = object;
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  const ownedByIstio = metadata.namespace === istioNamespace || metadata.namespace === 'kube-system';
  if (group === 'install.istio.io' && kind === 'IstioOperator') {
    const settings = (object.spec ?? {}) as JsonObject;
    return validateSpec(settings, chartDefaults(chartsDir(undefined))).problems.map((problem) => ({
      ...problem,
      path: problem.path === '' ? 'spec' : `spec.${problem.path}`,
    }));
  }
  if (group.endsWith('.istio.io')) {
    const known = kindOf(apiVersion, kind);
    if (!known) {
      const message = `${apiVersion} ${kind} is none of Istio's kinds and versions`;
      return [{ severity: 'error', path: 'apiVersion', message }];
    }
    return [...topLevelProblems(object), ...validate(object)];
  }
  if (kind === 'Service' && group === '' && !ownedByIstio) return portProblems(object);
  const workload = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job'].includes(kind);
  if (workload && (group === 'apps' || group === 'batch') && !ownedByIstio)
    return labelProblems(fields(fields(object.spec).template), 'spec.template');
  if (kind === 'Pod' && group === '' && !ownedByIstio) return labelProblems(object, '');
  return [];
}

const topLevelFields = new Set(['apiVersion', 'kind', 'metadata', 'spec', 'status']);

function topLevelProblems(object: FileObject['object']): readonly ManifestProblem[] {
  const problems: ManifestProblem[] = Object.keys(object)
    .filter((field) => !topLevelFields.has(field))
    .map((field) => ({ severity: 'error', path: field, message: 'unknown field; it belongs below spec or metadata' }));
  const { name, generateName } = object.metadata;
  if (!name && !generateName) problems.push({ severity: 'error', path: 'metadata.name', message: 'is required' });
  return problems;
}

function portProblems(object: FileObject['object']): readonly ManifestProblem[] {
  const facts = readService(object);
  return facts.ports.flatMap((port, index): ManifestProblem[] => {
    if (servicePortProtocol({ ...port, number: port.port }) !== 'Auto') return [];
    const what = port.name === '' ? 'the port has no name' : `the name "${port.name}" does not start with a protocol`;
    const message = `${what}: name it PROTOCOL or PROTOCOL-SUFFIX, for example http-web, or set appProtocol; otherwise the protocol has to be detected`;
    return [{ severity: 'warning', path: `spec.ports[${index}].name`, message }];
  });
}

function labelProblems(template: Readonly<Record<string, unknown>>, path: string): readonly ManifestProblem[] {
  const labels = textMap(fields(template.metadata).labels);
  const has = (names: readonly string[]) => names.some((name) => labels[name] !== undefined && labels[name] !== '');
  const missing = [
    ...(has(['app', 'app.kubernetes.io/name', 'service.istio.io/canonical-name']) ? [] : ['app']),
    ...(has(['version', 'app.kubernetes.io/version', 'service.istio.io/canonical-revision']) ? [] : ['version']),
  ];
  return missing.map((label) => ({
    severity: 'warning',
    path: `${path === '' ? '' : `${path}.`}metadata.labels`,
    message: `without a label "${label}" metrics and traces of these pods cannot be told apart`,
  }));
}

const paint = (session: Session, severity: ManifestProblem['severity']): string => {
  const [text, colour] = severity === 'error' ? ['Error', 31] : ['Warning', 33];
  return session.colours ? `\x1b[${colour}m${text}\x1b[0m` : text;
};
