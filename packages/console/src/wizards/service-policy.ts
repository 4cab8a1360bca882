// Wizards that set a policy for all connections to a service: mutual TLS and limits.
import { destinationRuleOf, newDestinationRule, withTrafficPolicy } from './destination-rule.ts';
import {
  type Fields,
  fieldsOf,
  type MeshObject,
  numberOf,
  textOf,
  type WizardResult,
  type WizardService,
  withField,
  without,
} from './object.ts';

export type ServerMode = 'UNSET' | 'STRICT' | 'PERMISSIVE' | 'DISABLE';
export type ClientMode = 'AUTO' | 'ISTIO_MUTUAL' | 'SIMPLE' | 'DISABLE';

export interface MutualTlsChoice {
  /** What the service's workloads accept. */
  readonly server: ServerMode;
  /** What callers send; AUTO: mutual TLS wherever the other side has a proxy. */
  readonly client: ClientMode;
}

/** The PeerAuthentication whose selector is the service's own. */
function peerAuthenticationOf(service: WizardService, objects: readonly MeshObject[]): MeshObject | undefined {
  const wanted = Object.entries(service.selector);
  return objects.find(({ kind, metadata, spec }) => {
    if (kind !== 'PeerAuthentication' || metadata.namespace !== service.namespace) return false;
    const labels = fieldsOf(fieldsOf(spec.selector).matchLabels);
    return (
      wanted.length > 0 &&
      Object.keys(labels).length === wanted.length &&
      wanted.every(([name, value]) => labels[name] === value)
    );
  });
}

const serverModes: readonly ServerMode[] = ['UNSET', 'STRICT', 'PERMISSIVE', 'DISABLE'];
const clientModes: readonly ClientMode[] = ['ISTIO_MUTUAL', 'SIMPLE', 'DISABLE'];

export function currentMutualTls(service: WizardService, objects: readonly MeshObject[]): MutualTlsChoice {
  const server = textOf(fieldsOf(peerAuthenticationOf(service, objects)?.spec.mtls).mode);
  const client = textOf(fieldsOf(fieldsOf(destinationRuleOf(service, objects)?.spec.trafficPolicy).tls).mode);
  return {
    server: serverModes.find((mode) => mode === server) ?? 'UNSET',
    client: clientModes.find((mode) => mode === client) ?? 'AUTO',
  };
}

/** Writes what changes only: the PeerAuthentication of the service's workloads, the TLS part of its DestinationRule. */
export function setMutualTls(
  service: WizardService,
  objects: readonly MeshObject[],
  choice: MutualTlsChoice,
): WizardResult {
  const now = currentMutualTls(service, objects);
  const changed: MeshObject[] = [];
  const notes: string[] = [];
  if (choice.server !== now.server) {
    const present = peerAuthenticationOf(service, objects);
    const base: MeshObject = present ?? {
      apiVersion: 'security.istio.io/v1',
      kind: 'PeerAuthentication',
      metadata: { name: service.name, namespace: service.namespace },
      spec: { selector: { matchLabels: service.selector } },
    };
    if (Object.keys(service.selector).length === 0)
      notes.push('The service has no selector, so its workloads are not known: no PeerAuthentication is written.');
    else changed.push({ ...base, spec: { ...base.spec, mtls: { mode: choice.server } } });
  }
  if (choice.client !== now.client) {
    const rule = destinationRuleOf(service, objects) ?? newDestinationRule(service);
    const old = fieldsOf(fieldsOf(rule.spec.trafficPolicy).tls);
    const tls: Fields | undefined =
      choice.client === 'AUTO'
        ? undefined
        : { ...(choice.client === 'SIMPLE' ? without(old, 'mode') : {}), mode: choice.client };
    changed.push(withTrafficPolicy(rule, 'tls', tls));
  }
  if (choice.server === 'STRICT' && (choice.client === 'DISABLE' || choice.client === 'SIMPLE'))
    notes.push(
      `Callers would send no mutual TLS (${choice.client}) to workloads that accept nothing else (STRICT): every call fails.`,
    );
  return { objects: changed, notes };
}

/** Limits of a circuit breaker; undefined ones are not set. */
export interface LimitsChoice {
  readonly maxConnections?: number;
  readonly maxPendingRequests?: number;
  readonly maxRequests?: number;
  readonly consecutiveErrors?: number;
  readonly interval?: string;
  readonly ejectionTime?: string;
}

export function currentLimits(service: WizardService, objects: readonly MeshObject[]): LimitsChoice {
  const policy = fieldsOf(destinationRuleOf(service, objects)?.spec.trafficPolicy);
  const pool = fieldsOf(policy.connectionPool);
  const outlier = fieldsOf(policy.outlierDetection);
  const values: Record<keyof LimitsChoice, number | string | undefined> = {
    maxConnections: numberOf(fieldsOf(pool.tcp).maxConnections),
    maxPendingRequests: numberOf(fieldsOf(pool.http).http1MaxPendingRequests),
    maxRequests: numberOf(fieldsOf(pool.http).http2MaxRequests),
    consecutiveErrors: numberOf(outlier.consecutive5xxErrors),
    interval: textOf(outlier.interval),
    ejectionTime: textOf(outlier.baseEjectionTime),
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

const orNothing = (fields: Fields): Fields | undefined => (Object.keys(fields).length === 0 ? undefined : fields);

/** Sets the limits in the traffic policy of the service's DestinationRule; other fields of the same parts stay. */
export function setLimits(service: WizardService, objects: readonly MeshObject[], choice: LimitsChoice): WizardResult {
  const rule = destinationRuleOf(service, objects) ?? newDestinationRule(service);
  const policy = fieldsOf(rule.spec.trafficPolicy);
  const pool = fieldsOf(policy.connectionPool);
  const tcp = orNothing(withField(fieldsOf(pool.tcp), 'maxConnections', choice.maxConnections));
  const http = orNothing(
    withField(
      withField(fieldsOf(pool.http), 'http1MaxPendingRequests', choice.maxPendingRequests),
      'http2MaxRequests',
      choice.maxRequests,
    ),
  );
  const connectionPool = orNothing(withField(withField(pool, 'tcp', tcp), 'http', http));
  const outlier = orNothing(
    withField(
      withField(
        withField(fieldsOf(policy.outlierDetection), 'consecutive5xxErrors', choice.consecutiveErrors),
        'interval',
        choice.interval,
      ),
      'baseEjectionTime',
      choice.ejectionTime,
    ),
  );
  const changed = withTrafficPolicy(
    withTrafficPolicy(rule, 'connectionPool', connectionPool),
    'outlierDetection',
    outlier,
  );
  return { objects: [changed], notes: [] };
}
