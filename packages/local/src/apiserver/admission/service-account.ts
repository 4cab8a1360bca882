import { randomBytes } from 'node:crypto';
import type { ObjectStore } from '../../store/object-store.ts';
import { asArray, asObject, asObjects, asString, clone } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { AdmissionRequest } from '../operations/admission.ts';
import { forbidden } from '../status.ts';

const MOUNT_PATH = '/var/run/secrets/kubernetes.io/serviceaccount';
const TOKEN_SECONDS = 3607;

/** The projected volume with a token, the CA's certificate and the namespace, as the ServiceAccount admission of Kubernetes makes it. */
function tokenVolume(name: string): Record<string, unknown> {
  return {
    name,
    projected: {
      defaultMode: 420,
      sources: [
        { serviceAccountToken: { expirationSeconds: TOKEN_SECONDS, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
    },
  };
}

function suffix(): string {
  const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
  return [...randomBytes(5)].map((byte) => alphabet[byte % alphabet.length]).join('');
}

/** Gives a new pod its service account, its pull secrets and its token. Throws 403 when the service account does not exist. */
export function admitServiceAccount(request: AdmissionRequest, store: ObjectStore): ApiObject | undefined {
  const { object, target } = request;
  if (object === undefined || request.operation !== 'CREATE' || target.subresource !== '') return object;
  if (target.definition.kind !== 'Pod' || target.definition.group !== '') return object;
  if (object.metadata.annotations?.['kubernetes.io/config.mirror'] !== undefined) return object;
  const pod = clone(object);
  const spec = asObject(pod.spec);
  if (asString(spec.serviceAccountName) === '') spec.serviceAccountName = 'default';
  const name = asString(spec.serviceAccountName);
  spec.serviceAccount = name;
  const account = store.get('/serviceaccounts', target.namespace, name);
  if (account === undefined) {
    throw forbidden(
      { group: '', resource: 'pods' },
      pod.metadata.name ?? '',
      `error looking up service account ${target.namespace}/${name}: serviceaccount "${name}" not found`,
    );
  }
  if (asArray(spec.imagePullSecrets).length === 0 && asArray(account.imagePullSecrets).length > 0) {
    spec.imagePullSecrets = clone(account.imagePullSecrets);
  }
  const automount = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true;
  if (automount !== true) return pod;
  const containers = [...asObjects(spec.initContainers), ...asObjects(spec.containers)];
  const lacking = containers.filter(
    (container) => !asObjects(container.volumeMounts).some((mount) => mount.mountPath === MOUNT_PATH),
  );
  if (lacking.length === 0) return pod;
  const volumes = asObjects(spec.volumes);
  let volume = asString(volumes.find((item) => asString(item.name).startsWith('kube-api-access-'))?.name);
  if (volume === '') {
    volume = `kube-api-access-${suffix()}`;
    spec.volumes = [...volumes, tokenVolume(volume)];
  }
  for (const container of lacking) {
    container.volumeMounts = [
      ...asObjects(container.volumeMounts),
      { name: volume, readOnly: true, mountPath: MOUNT_PATH },
    ];
  }
  return pod;
}

const TOLERATIONS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

/** Priority by class name, and the tolerations that every pod gets (Priority and DefaultTolerationSeconds admission). */
export function admitPodDefaults(request: AdmissionRequest, store: ObjectStore): ApiObject | undefined {
  const { object, target } = request;
  if (object === undefined || request.operation !== 'CREATE' || target.subresource !== '') return object;
  if (target.definition.kind !== 'Pod' || target.definition.group !== '') return object;
  const pod = clone(object);
  const spec = asObject(pod.spec);
  const className = asString(spec.priorityClassName);
  const classes = store.list('scheduling.k8s.io/priorityclasses');
  const chosen =
    className === ''
      ? classes.find((item) => item.globalDefault === true)
      : classes.find((item) => item.metadata.name === className);
  if (className !== '' && chosen === undefined) {
    throw forbidden(
      { group: '', resource: 'pods' },
      pod.metadata.name ?? '',
      `no PriorityClass with name ${className} was found`,
    );
  }
  if (chosen !== undefined) spec.priorityClassName = chosen.metadata.name;
  spec.priority = chosen?.value ?? 0;
  spec.preemptionPolicy = chosen?.preemptionPolicy ?? 'PreemptLowerPriority';
  const tolerations = asObjects(spec.tolerations);
  for (const key of TOLERATIONS) {
    const tolerated = tolerations.some(
      (item) =>
        (item.key === key || asString(item.key) === '') &&
        (item.effect === 'NoExecute' || asString(item.effect) === ''),
    );
    if (!tolerated) tolerations.push({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 });
  }
  spec.tolerations = tolerations;
  return pod;
}
