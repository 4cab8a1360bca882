import { tryParseDuration } from '@istio-ts/api/duration';

/** A flag or variable of the operator that cannot be used. */
export class OperatorSettingsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'OperatorSettingsError';
  }
}

export interface OperatorSettings {
  readonly monitoringHost: string;
  readonly monitoringPort: number;
  readonly logLevels: string;
  readonly logAsJson: boolean;
  readonly kubeconfig: string | undefined;
  /** Namespaces whose IstioOperators count; empty: all. */
  readonly namespaces: readonly string[];
  readonly revision: string;
  /** Namespace of the Lease; undefined: no election. */
  readonly leaseNamespace: string | undefined;
  readonly podName: string;
  readonly operatorName: string;
  readonly readinessTimeoutMs: number;
}

function duration(text: string, name: string): number {
  const value = tryParseDuration(text);
  if (value === undefined || value < 0)
    throw new OperatorSettingsError(`${name}: "${text}" is not a duration: write for example 300s or 5m`);
  return value;
}

/** Reads the flags of `operator server` and the variables that its chart sets. Raises OperatorSettingsError. */
export function parseOperatorSettings(
  flags: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): OperatorSettings {
  const values = new Map<string, string>();
  const known = new Set([
    'monitoring-host',
    'monitoring-port',
    'log_output_level',
    'log_as_json',
    'kubeconfig',
    // Istio's operator has these; they change nothing here.
    'ctrlz_address',
    'ctrlz_port',
    'log_target',
    'log_caller',
    'log_stacktrace_level',
    'max-concurrent-reconciles',
  ]);
  const words = [...flags];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const [, name = '', value] = /^--([\w-]+)(?:=([\s\S]*))?$/.exec(word) ?? [];
    if (!known.has(name)) throw new OperatorSettingsError(`unknown flag ${word}`);
    if (value !== undefined) values.set(name, value);
    else if (name === 'log_as_json') values.set(name, 'true');
    else {
      const next = words.shift();
      if (next === undefined) throw new OperatorSettingsError(`--${name} needs a value`);
      values.set(name, next);
    }
  }
  const port = Number(values.get('monitoring-port') ?? '8383');
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new OperatorSettingsError(`--monitoring-port: "${values.get('monitoring-port')}" is no port`);
  return {
    monitoringHost: values.get('monitoring-host') ?? '0.0.0.0',
    monitoringPort: port,
    logLevels: values.get('log_output_level') ?? 'default:info',
    logAsJson: values.get('log_as_json') === 'true',
    kubeconfig: values.get('kubeconfig') || undefined,
    namespaces: (env.WATCH_NAMESPACE ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== ''),
    revision: env.REVISION ?? '',
    leaseNamespace: env.LEADER_ELECTION_NAMESPACE || undefined,
    podName: env.POD_NAME || `operator-${process.pid}`,
    operatorName: env.OPERATOR_NAME || 'istio-operator',
    readinessTimeoutMs: duration(env.WAIT_FOR_RESOURCES_TIMEOUT || '300s', 'WAIT_FOR_RESOURCES_TIMEOUT'),
  };
}
