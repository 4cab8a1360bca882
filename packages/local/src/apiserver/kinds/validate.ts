import { asArray, asObject, asObjects, asString, equal, isObject, type JsonObject } from '../json.ts';
import { matchesLabelSelector } from '../selectors.ts';
import type { ApiObject } from '../object.ts';
import { type FieldError, fieldError } from '../status.ts';
import { oneOf, portNumber, portReference } from './field-checks.ts';
import { trustBundleErrors, trustBundleNameProblem } from './trust-bundle.ts';
import { label1035Problem, labelErrors, labelProblem, qualifiedNameErrors, subdomainProblem } from './types.ts';
import { podErrors, templateErrors } from './validate-pods.ts';

/** Kinds whose names are more restricted, or free, compared with a DNS subdomain. */
const NAME_RULES: Readonly<Record<string, (name: string) => string | undefined>> = {
  '/services': label1035Problem,
  '/namespaces': labelProblem,
  'rbac.authorization.k8s.io/roles': pathSegment,
  'rbac.authorization.k8s.io/rolebindings': pathSegment,
  'rbac.authorization.k8s.io/clusterroles': pathSegment,
  'rbac.authorization.k8s.io/clusterrolebindings': pathSegment,
  'certificates.k8s.io/certificatesigningrequests': pathSegment,
  'certificates.k8s.io/clustertrustbundles': trustBundleNameProblem,
  '/events': pathSegment,
};

function pathSegment(name: string): string | undefined {
  if (name === '.' || name === '..') return `may not be '${name}'`;
  if (name.includes('/')) return `may not contain '/'`;
  if (name.includes('%')) return `may not contain '%'`;
  return undefined;
}

/** Checks `metadata` of any object. */
export function validateMetadata(object: ApiObject, key: string): FieldError[] {
  const meta = object.metadata as JsonObject;
  const errors: FieldError[] = [];
  const name = meta.name;
  if (name === undefined || name === '')
    errors.push(fieldError.required('metadata.name', 'name or generateName is required'));
  else if (typeof name !== 'string') errors.push(fieldError.typeInvalid('metadata.name', name, 'must be a string'));
  else {
    const problem = (NAME_RULES[key] ?? subdomainProblem)(name);
    if (problem !== undefined) errors.push(fieldError.invalid('metadata.name', name, problem));
  }
  errors.push(...labelErrors(meta.labels, 'metadata.labels'));
  let size = 0;
  for (const [annotation, value] of Object.entries(asObject(meta.annotations))) {
    errors.push(...qualifiedNameErrors(annotation.toLowerCase(), 'metadata.annotations'));
    size += annotation.length + String(value).length;
  }
  if (size > 262_144) errors.push(fieldError.tooLong('metadata.annotations', 262_144));
  asArray(meta.ownerReferences).forEach((reference, index) => {
    const path = `metadata.ownerReferences[${index}]`;
    for (const field of ['apiVersion', 'kind', 'name', 'uid']) {
      if (asString(asObject(reference)[field]) === '')
        errors.push(fieldError.invalid(`${path}.${field}`, '', `${field} must not be empty`));
    }
  });
  for (const finalizer of asArray(meta.finalizers)) {
    if (typeof finalizer !== 'string')
      errors.push(fieldError.invalid('metadata.finalizers', finalizer, 'must be a string'));
    else errors.push(...qualifiedNameErrors(finalizer, 'metadata.finalizers'));
  }
  return errors;
}

function selectorErrors(spec: JsonObject, old: ApiObject | undefined): FieldError[] {
  const selector = spec.selector;
  const template = asObject(asObject(spec.template).metadata).labels;
  if (!isObject(selector)) return [fieldError.required('spec.selector')];
  const empty =
    Object.keys(asObject(selector.matchLabels)).length === 0 && asArray(selector.matchExpressions).length === 0;
  const errors: FieldError[] = [];
  if (empty) errors.push(fieldError.invalid('spec.selector', selector, 'empty selector is invalid for deployment'));
  else if (!matchesLabelSelector(asObject(template), selector)) {
    errors.push(
      fieldError.invalid(
        'spec.template.metadata.labels',
        template ?? null,
        '`selector` does not match template `labels`',
      ),
    );
  }
  if (old !== undefined && !equal(asObject(old.spec).selector, selector)) {
    errors.push(fieldError.invalid('spec.selector', selector, 'field is immutable'));
  }
  return errors;
}

function workloadErrors(policies: readonly string[]): Rule {
  return (object, old) => {
    const spec = asObject(object.spec);
    const errors = [...selectorErrors(spec, old), ...templateErrors(spec, 'spec')];
    const replicas = spec.replicas;
    if (typeof replicas === 'number' && replicas < 0)
      errors.push(fieldError.invalid('spec.replicas', replicas, 'must be greater than or equal to 0'));
    const policy = asString(asObject(asObject(spec.template).spec).restartPolicy);
    if (policy !== '' && !policies.includes(policy))
      errors.push(fieldError.notSupported('spec.template.spec.restartPolicy', policy, policies));
    return errors;
  };
}

function serviceErrors(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = asObject(object.spec);
  const errors = [
    ...oneOf(spec, 'type', 'spec', ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']),
    ...oneOf(spec, 'sessionAffinity', 'spec', ['ClientIP', 'None']),
    ...labelErrors(spec.selector, 'spec.selector'),
  ];
  const ports = asObjects(spec.ports);
  const headless = spec.clusterIP === 'None';
  if (spec.type === 'ExternalName') {
    if (asString(spec.externalName) === '') errors.push(fieldError.required('spec.externalName'));
  } else if (ports.length === 0 && !headless) errors.push(fieldError.required('spec.ports'));
  const names = new Set<string>();
  const numbers = new Set<string>();
  ports.forEach((port, index) => {
    const path = `spec.ports[${index}]`;
    const name = asString(port.name);
    if (name === '' && ports.length > 1) errors.push(fieldError.required(`${path}.name`));
    if (name !== '') {
      const problem = labelProblem(name);
      if (problem !== undefined) errors.push(fieldError.invalid(`${path}.name`, name, problem));
      if (names.has(name)) errors.push(fieldError.duplicate(`${path}.name`, name));
      names.add(name);
    }
    errors.push(...portNumber(port.port, `${path}.port`));
    errors.push(...oneOf(port, 'protocol', path, ['SCTP', 'TCP', 'UDP']));
    if (port.targetPort !== undefined) errors.push(...portReference(port.targetPort, `${path}.targetPort`));
    const id = `${String(port.protocol)}/${String(port.port)}`;
    if (numbers.has(id)) errors.push(fieldError.duplicate(path, { protocol: port.protocol, port: port.port }));
    numbers.add(id);
  });
  const before = asObject(old?.spec).clusterIP;
  const both = spec.type !== 'ExternalName' && asObject(old?.spec).type !== 'ExternalName';
  if (old !== undefined && both && typeof before === 'string' && before !== '' && spec.clusterIP !== before) {
    errors.push(
      fieldError.invalid(
        'spec.clusterIPs[0]',
        asArray(spec.clusterIPs)[0] ?? spec.clusterIP,
        'may not change once set',
      ),
    );
  }
  return errors;
}

function jobErrors(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = asObject(object.spec);
  const errors = templateErrors(spec, 'spec');
  const policy = asString(asObject(asObject(spec.template).spec).restartPolicy);
  if (policy === 'Always')
    errors.push(fieldError.required('spec.template.spec.restartPolicy', 'valid values: "OnFailure", "Never"'));
  if (old !== undefined && !equal(asObject(old.spec).template, spec.template)) {
    errors.push(fieldError.invalid('spec.template', '', 'field is immutable'));
  }
  return errors;
}

function dataErrors(limit: number): Rule {
  return (object, old) => {
    const errors: FieldError[] = [];
    let size = 0;
    for (const field of ['data', 'binaryData']) {
      for (const [key, value] of Object.entries(asObject(object[field]))) {
        if (!/^[-._a-zA-Z0-9]{1,253}$/.test(key)) {
          errors.push(
            fieldError.invalid(
              `${field}[${key}]`,
              key,
              "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            ),
          );
        }
        size += String(value).length;
      }
    }
    if (size > limit) errors.push(fieldError.tooLong('', limit));
    if (old !== undefined && old.immutable === true) {
      for (const field of ['data', 'binaryData', 'immutable']) {
        if (!equal(old[field], object[field]))
          errors.push(fieldError.forbidden(field, 'field is immutable when `immutable` is set'));
      }
    }
    return errors;
  };
}

function secretErrors(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const errors = dataErrors(1_048_576)(object, old);
  for (const [key, value] of Object.entries(asObject(object.data))) {
    if (typeof value === 'string' && !/^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value))
      errors.push(fieldError.invalid(`data[${key}]`, '<value omitted>', 'illegal base64 data'));
  }
  if (old !== undefined && old.type !== object.type)
    errors.push(fieldError.invalid('type', object.type, 'field is immutable'));
  const needed: Readonly<Record<string, readonly string[]>> = {
    'kubernetes.io/tls': ['tls.crt', 'tls.key'],
    'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
    'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  };
  for (const key of needed[asString(object.type)] ?? []) {
    if (asObject(object.data)[key] === undefined) errors.push(fieldError.required(`data[${key}]`));
  }
  return errors;
}

function bindingErrors(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const reference = asObject(object.roleRef);
  const errors: FieldError[] = [];
  if (asString(reference.name) === '') errors.push(fieldError.required('roleRef.name'));
  errors.push(
    ...oneOf(reference, 'kind', 'roleRef', ['ClusterRole', ...(object.kind === 'RoleBinding' ? ['Role'] : [])]),
  );
  if (old !== undefined && !equal(old.roleRef, object.roleRef))
    errors.push(fieldError.invalid('roleRef', reference, 'cannot change roleRef'));
  return errors;
}

function webhookErrors(object: ApiObject): FieldError[] {
  const errors: FieldError[] = [];
  const names = new Set<string>();
  asObjects(object.webhooks).forEach((webhook, index) => {
    const path = `webhooks[${index}]`;
    const name = asString(webhook.name);
    if (name.split('.').length < 3)
      errors.push(
        fieldError.invalid(`${path}.name`, name, 'should be a domain with at least three segments separated by dots'),
      );
    if (names.has(name)) errors.push(fieldError.duplicate(`${path}.name`, name));
    names.add(name);
    errors.push(...oneOf(webhook, 'failurePolicy', path, ['Fail', 'Ignore']));
    errors.push(...oneOf(webhook, 'sideEffects', path, ['None', 'NoneOnDryRun']));
    if (webhook.sideEffects === undefined)
      errors.push(fieldError.required(`${path}.sideEffects`, 'must specify one of None, NoneOnDryRun'));
    const versions = asArray(webhook.admissionReviewVersions);
    if (!versions.includes('v1'))
      errors.push(fieldError.invalid(`${path}.admissionReviewVersions`, versions, 'must include at least one of v1'));
    const client = asObject(webhook.clientConfig);
    if ((client.url === undefined) === (client.service === undefined))
      errors.push(fieldError.required(`${path}.clientConfig`, 'exactly one of url or service is required'));
    const seconds = webhook.timeoutSeconds;
    if (typeof seconds === 'number' && (seconds < 1 || seconds > 30))
      errors.push(
        fieldError.invalid(`${path}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'),
      );
  });
  return errors;
}

type Rule = (object: ApiObject, old: ApiObject | undefined) => FieldError[];

const RULES: Readonly<Record<string, Rule>> = {
  '/pods': podErrors,
  '/services': serviceErrors,
  '/configmaps': dataErrors(1_048_576),
  '/secrets': secretErrors,
  'apps/deployments': workloadErrors(['Always']),
  'apps/replicasets': workloadErrors(['Always']),
  'apps/statefulsets': workloadErrors(['Always']),
  'apps/daemonsets': workloadErrors(['Always']),
  'batch/jobs': jobErrors,
  'batch/cronjobs': (object) => {
    const spec = asObject(object.spec);
    const errors = templateErrors(asObject(asObject(spec.jobTemplate).spec), 'spec.jobTemplate.spec');
    if (asString(spec.schedule) === '') errors.push(fieldError.required('spec.schedule'));
    return errors;
  },
  'certificates.k8s.io/clustertrustbundles': trustBundleErrors,
  'rbac.authorization.k8s.io/rolebindings': bindingErrors,
  'rbac.authorization.k8s.io/clusterrolebindings': bindingErrors,
  'rbac.authorization.k8s.io/roles': rulesErrors,
  'rbac.authorization.k8s.io/clusterroles': rulesErrors,
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': webhookErrors,
  'admissionregistration.k8s.io/validatingwebhookconfigurations': webhookErrors,
  'autoscaling/horizontalpodautoscalers': (object) => {
    const spec = asObject(object.spec);
    const errors: FieldError[] = [];
    const max = spec.maxReplicas;
    if (typeof max !== 'number' || max < 1)
      errors.push(fieldError.invalid('spec.maxReplicas', max ?? 0, 'must be greater than 0'));
    else if (typeof spec.minReplicas === 'number' && spec.minReplicas > max) {
      errors.push(fieldError.invalid('spec.maxReplicas', max, 'must be greater than or equal to `minReplicas`'));
    }
    return errors;
  },
};

function rulesErrors(object: ApiObject): FieldError[] {
  const errors: FieldError[] = [];
  asObjects(object.rules).forEach((rule, index) => {
    const path = `rules[${index}]`;
    if (asArray(rule.verbs).length === 0)
      errors.push(fieldError.required(`${path}.verbs`, 'verbs must contain at least one value'));
    if (asArray(rule.nonResourceURLs).length > 0) return;
    if (asArray(rule.apiGroups).length === 0)
      errors.push(fieldError.required(`${path}.apiGroups`, 'resource rules must supply at least one api group'));
    if (asArray(rule.resources).length === 0)
      errors.push(fieldError.required(`${path}.resources`, 'resource rules must supply at least one resource'));
  });
  return errors;
}

/** Findings in a built-in object; `old` is the state before an update. */
export function validateBuiltin(key: string, object: ApiObject, old: ApiObject | undefined): FieldError[] {
  return [...validateMetadata(object, key), ...(RULES[key]?.(object, old) ?? [])];
}
