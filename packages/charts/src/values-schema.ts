import { type Chart, defaultValues, LAYERED_DEFAULTS } from './chart.ts';
import type { Json, JsonObject } from './json.ts';

/**
 * The JSON schema of a chart's values (values.schema.json), by which helm and istioctl refuse values of the wrong type. Types
 * follow from the defaults; what a default does not tell stands in the tables below. A null takes a default away and is
 * therefore allowed everywhere.
 * Rules: Helm's documentation, "Charts", section "Schema Files".
 */

const scalar: JsonObject = { type: ['string', 'number', 'boolean', 'null'] };
const text: JsonObject = { type: ['string', 'number', 'null'] };
const whole: JsonObject = { type: ['integer', 'string', 'null'], pattern: '^-?[0-9]+$' };
const decimal: JsonObject = { type: ['number', 'string', 'null'], pattern: '^-?[0-9]+(\\.[0-9]+)?$' };
const flag: JsonObject = { type: ['boolean', 'null'] };
const mapping: JsonObject = { type: ['object', 'null'] };
const sequence = (items: JsonObject): JsonObject => ({ type: ['array', 'null'], items });
const scalars: JsonObject = { type: ['object', 'null'], additionalProperties: scalar };
const oneOf = (...values: readonly string[]): JsonObject => ({ enum: [...values, null] });
const share: JsonObject = { type: ['string', 'integer', 'null'], pattern: '^[0-9]+%?$' };
const port: JsonObject = {
  type: 'object',
  required: ['port'],
  properties: {
    name: { type: 'string' },
    port: { ...whole, minimum: 1, maximum: 65535 },
    targetPort: { type: ['integer', 'string', 'null'] },
    nodePort: { ...whole, minimum: 0, maximum: 65535 },
    protocol: oneOf('TCP', 'UDP', 'SCTP'),
    appProtocol: { type: ['string', 'null'] },
  },
};

/** Values by their last name, whatever they are part of. */
const BY_NAME: Readonly<Record<string, JsonObject>> = {
  affinity: mapping,
  annotations: scalars,
  daemonSetLabels: scalars,
  deploymentLabels: scalars,
  env: scalars,
  envVarFrom: sequence(mapping),
  excludeNamespaces: sequence({ type: 'string' }),
  externalIPs: sequence({ type: 'string' }),
  initContainers: sequence(mapping),
  additionalContainers: sequence(mapping),
  extraContainerArgs: sequence(scalar),
  injectedAnnotations: scalars,
  ipFamilies: sequence(oneOf('IPv4', 'IPv6')),
  labels: scalars,
  loadBalancerSourceRanges: sequence({ type: 'string' }),
  nodeSelector: scalars,
  defaultNodeSelector: scalars,
  podAnnotations: scalars,
  podLabels: scalars,
  ports: sequence(port),
  proxyMetadata: scalars,
  revisionTags: sequence({ type: 'string' }),
  certSigners: sequence({ type: 'string' }),
  excludedCRDs: sequence({ type: 'string' }),
  rollingMaxSurge: share,
  rollingMaxUnavailable: share,
  serviceAccountAnnotations: scalars,
  serviceAnnotations: scalars,
  tolerations: sequence(mapping),
  defaultTolerations: sequence(mapping),
  topologySpreadConstraints: sequence(mapping),
  traceSampling: decimal,
  volumeMounts: sequence(mapping),
  volumes: sequence(mapping),
  imagePullPolicy: oneOf('', 'Always', 'IfNotPresent', 'Never'),
  pullPolicy: oneOf('', 'Always', 'IfNotPresent', 'Never'),
  dnsPolicy: oneOf('', 'ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'),
  externalTrafficPolicy: oneOf('', 'Cluster', 'Local'),
  internalTrafficPolicy: oneOf('', 'Cluster', 'Local'),
  ipFamilyPolicy: oneOf('', 'SingleStack', 'PreferDualStack', 'RequireDualStack'),
  targetCPUUtilizationPercentage: whole,
  targetMemoryUtilizationPercentage: whole,
  targetAverageUtilization: whole,
  averageUtilization: whole,
  minReadySeconds: whole,
  replicaCount: whole,
  unprivilegedPort: flag,
};

/** Values by their path; `*` stands for any name. These win over those by name. */
const BY_PATH: Readonly<Record<string, JsonObject>> = {
  'autoscaling.autoscaleBehavior': mapping,
  'gateways.*.type': oneOf('LoadBalancer', 'NodePort', 'ClusterIP'),
  'gateways.*.ports': sequence(port),
  'global.imagePullSecrets': sequence({ type: 'string' }),
  'global.pilotCertProvider': { type: ['string', 'null'] },
  'global.proxy.autoInject': oneOf('enabled', 'disabled'),
  'global.proxy.logLevel': oneOf('trace', 'debug', 'info', 'warning', 'warn', 'error', 'critical', 'off', ''),
  'sidecarInjectorWebhook.reinvocationPolicy': oneOf('Never', 'IfNeeded'),
  'sidecarInjectorWebhook.templates': { type: ['object', 'null'], additionalProperties: { type: ['string', 'null'] } },
  'sidecarInjectorWebhook.defaultTemplates': sequence({ type: 'string' }),
  'service.type': oneOf('LoadBalancer', 'NodePort', 'ClusterIP', 'ExternalName', 'None'),
  'base.validationFailurePolicy': oneOf('', 'Ignore', 'Fail'),
  kind: oneOf('Deployment', 'DaemonSet'),
  provider: oneOf('default', 'multus'),
  memory: { type: ['object', 'null'], properties: { targetAverageUtilization: whole } },
};

/** Charts that take no value that they do not know: nothing but their own values reaches them. */
const CLOSED: ReadonlySet<string> = new Set(['gateway']);
/** What any chart may be given: the choice of a profile, and what a chart around it sets. */
const COMMON: JsonObject = {
  profile: { type: ['string', 'null'] },
  platform: { type: ['string', 'null'] },
  compatibilityVersion: text,
  enabled: flag,
};

export function valuesSchema(chart: Chart): JsonObject {
  const { name } = chart.metadata;
  const own = schemaOf(defaultValues(chart), []);
  const properties = { ...COMMON, ...(own.properties as JsonObject) };
  const values: JsonObject = {
    ...own,
    properties:
      name === 'istiod'
        ? { ...properties, pilot: { type: ['object', 'null'], properties: { ...properties } } }
        : properties,
  };
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: `Values of the chart ${name}`,
    type: 'object',
    definitions: { values },
    properties: {
      ...Object.fromEntries(Object.keys(values.properties as JsonObject).map((key) => [key, reference(key)])),
      [LAYERED_DEFAULTS]: { $ref: '#/definitions/values' },
    },
    ...(CLOSED.has(name) && { additionalProperties: false }),
  };
}

const reference = (key: string): JsonObject => ({ $ref: `#/definitions/values/properties/${key}` });

function schemaOf(example: Json, path: readonly string[]): JsonObject {
  const known = exception(path);
  if (known !== undefined) return known;
  if (example === null) return {};
  if (Array.isArray(example)) return { type: ['array', 'null'] };
  switch (typeof example) {
    case 'string':
      return text;
    case 'number':
      return Number.isInteger(example) ? whole : decimal;
    case 'boolean':
      return flag;
    case 'object':
      return {
        type: ['object', 'null'],
        ...(Object.keys(example).length > 0 && {
          properties: Object.fromEntries(
            Object.entries(example).map(([key, value]) => [key, schemaOf(value, [...path, key])]),
          ),
        }),
      };
    default:
      return {};
  }
}

function exception(path: readonly string[]): JsonObject | undefined {
  // The same settings stand at the top and, in istioctl's order, below the component.
  const at = path[0] === 'gateways' && path.length > 1 ? ['gateways', '*', ...path.slice(2)] : path;
  return BY_PATH[at.join('.')] ?? BY_NAME[at.at(-1) ?? ''];
}
