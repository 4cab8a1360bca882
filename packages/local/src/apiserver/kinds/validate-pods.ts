import { asArray, asObject, asObjects, asString, equal, isObject, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { type FieldError, fieldError } from '../status.ts';
import { oneOf, PORT_NAME, portNumber, portReference } from './field-checks.ts';
import { labelErrors, labelProblem } from './types.ts';

function probeErrors(value: unknown, path: string): FieldError[] {
  if (!isObject(value)) return [];
  const handlers = ['exec', 'httpGet', 'tcpSocket', 'grpc'].filter((kind) => value[kind] !== undefined);
  const errors: FieldError[] = [];
  if (handlers.length === 0) errors.push(fieldError.required(path, 'must specify a handler type'));
  if (handlers.length > 1)
    errors.push(fieldError.forbidden(`${path}.${handlers[1]}`, 'may not specify more than 1 handler type'));
  if (isObject(value.httpGet)) errors.push(...portReference(value.httpGet.port, `${path}.httpGet.port`));
  if (isObject(value.tcpSocket)) errors.push(...portReference(value.tcpSocket.port, `${path}.tcpSocket.port`));
  for (const field of [
    'initialDelaySeconds',
    'timeoutSeconds',
    'periodSeconds',
    'successThreshold',
    'failureThreshold',
  ]) {
    const number = value[field];
    if (typeof number === 'number' && number < 0)
      errors.push(fieldError.invalid(`${path}.${field}`, number, 'must be greater than or equal to 0'));
  }
  return errors;
}

function containerErrors(
  item: JsonObject,
  path: string,
  names: Set<string>,
  volumes: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = [];
  const name = item.name;
  if (typeof name !== 'string' || name === '') errors.push(fieldError.required(`${path}.name`));
  else {
    const problem = labelProblem(name);
    if (problem !== undefined) errors.push(fieldError.invalid(`${path}.name`, name, problem));
    if (names.has(name)) errors.push(fieldError.duplicate(`${path}.name`, name));
    names.add(name);
  }
  if (asString(item.image) === '') errors.push(fieldError.required(`${path}.image`));
  errors.push(...oneOf(item, 'imagePullPolicy', path, ['Always', 'IfNotPresent', 'Never']));
  const portNames = new Set<string>();
  asObjects(item.ports).forEach((port, index) => {
    const at = `${path}.ports[${index}]`;
    if (port.containerPort === undefined) errors.push(fieldError.required(`${at}.containerPort`));
    else errors.push(...portNumber(port.containerPort, `${at}.containerPort`));
    errors.push(...oneOf(port, 'protocol', at, ['SCTP', 'TCP', 'UDP']));
    const portName = port.name;
    if (typeof portName === 'string' && portName !== '') {
      if (!PORT_NAME.test(portName))
        errors.push(
          fieldError.invalid(
            `${at}.name`,
            portName,
            'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-), and be no more than 15 characters',
          ),
        );
      if (portNames.has(portName)) errors.push(fieldError.duplicate(`${at}.name`, portName));
      portNames.add(portName);
    }
  });
  asObjects(item.env).forEach((env, index) => {
    if (asString(env.name) === '') errors.push(fieldError.required(`${path}.env[${index}].name`));
    if (env.value !== undefined && env.value !== '' && env.valueFrom !== undefined) {
      errors.push(
        fieldError.invalid(`${path}.env[${index}].valueFrom`, '', 'may not be specified when `value` is not empty'),
      );
    }
  });
  const mountPaths = new Set<string>();
  asObjects(item.volumeMounts).forEach((mount, index) => {
    const at = `${path}.volumeMounts[${index}]`;
    const volume = asString(mount.name);
    if (volume === '') errors.push(fieldError.required(`${at}.name`));
    else if (!volumes.has(volume))
      errors.push({ type: 'FieldValueNotFound', field: `${at}.name`, text: `Not found: ${JSON.stringify(volume)}` });
    const mountPath = asString(mount.mountPath);
    if (mountPath === '') errors.push(fieldError.required(`${at}.mountPath`));
    if (mountPaths.has(mountPath)) errors.push(fieldError.invalid(`${at}.mountPath`, mountPath, 'must be unique'));
    mountPaths.add(mountPath);
  });
  for (const field of ['livenessProbe', 'readinessProbe', 'startupProbe'])
    errors.push(...probeErrors(item[field], `${path}.${field}`));
  return errors;
}

/** Findings in a pod's spec; selectors of nodes in templates are the scheduler's concern. */
export function podSpecErrors(spec: JsonObject, path: string, templates = false): FieldError[] {
  const errors: FieldError[] = [];
  const volumes = new Set<string>();
  asObjects(spec.volumes).forEach((item, index) => {
    const name = asString(item.name);
    if (name === '') errors.push(fieldError.required(`${path}.volumes[${index}].name`));
    else {
      const problem = labelProblem(name);
      if (problem !== undefined) errors.push(fieldError.invalid(`${path}.volumes[${index}].name`, name, problem));
      if (volumes.has(name)) errors.push(fieldError.duplicate(`${path}.volumes[${index}].name`, name));
    }
    volumes.add(name);
    const sources = Object.keys(item).filter((key) => key !== 'name');
    if (sources.length > 1)
      errors.push(
        fieldError.forbidden(`${path}.volumes[${index}].${sources[1]}`, 'may not specify more than 1 volume type'),
      );
  });
  const names = new Set<string>();
  const containers = asArray(spec.containers);
  if (containers.length === 0) errors.push(fieldError.required(`${path}.containers`));
  for (const field of ['initContainers', 'containers']) {
    asObjects(spec[field]).forEach((item, index) => {
      errors.push(...containerErrors(item, `${path}.${field}[${index}]`, names, volumes));
    });
  }
  errors.push(...oneOf(spec, 'restartPolicy', path, ['Always', 'OnFailure', 'Never']));
  errors.push(...oneOf(spec, 'dnsPolicy', path, ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']));
  if (!templates) errors.push(...labelErrors(spec.nodeSelector, `${path}.nodeSelector`));
  return errors;
}

/** Findings in `template` of a spec that makes pods. */
export function templateErrors(spec: JsonObject, path: string): FieldError[] {
  const template = asObject(spec.template);
  const errors = labelErrors(asObject(template.metadata).labels, `${path}.template.metadata.labels`);
  return [...errors, ...podSpecErrors(asObject(template.spec), `${path}.template.spec`, true)];
}

/** Fields of a pod's spec that may change after creation. */
const MUTABLE_POD_FIELDS = new Set([
  'activeDeadlineSeconds',
  'tolerations',
  'terminationGracePeriodSeconds',
  'nodeName',
  'ephemeralContainers',
  'schedulingGates',
  'nodeSelector',
]);

/** Findings in a Pod. */
export function podErrors(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = asObject(object.spec);
  const errors = podSpecErrors(spec, 'spec');
  if (old === undefined) return errors;
  const frozen = (value: unknown): JsonObject => {
    const result: JsonObject = {};
    for (const [key, item] of Object.entries(asObject(value))) {
      if (MUTABLE_POD_FIELDS.has(key)) continue;
      const containers = key === 'containers' || key === 'initContainers';
      result[key] = containers ? asObjects(item).map(({ image: _i, resources: _r, ...rest }) => rest) : item;
    }
    return result;
  };
  if (!equal(frozen(spec), frozen(old.spec))) {
    errors.push(
      fieldError.forbidden(
        'spec',
        'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)',
      ),
    );
  }
  return errors;
}
