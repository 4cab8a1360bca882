import { storageKey } from '../definitions.ts';
import type { JsonObject } from '../json.ts';
import { type ApiObject, groupOf } from '../object.ts';
import { acceptObject } from '../operations/accept-object.ts';
import { internalContext, type Target } from '../operations/context.ts';
import type { Operations } from '../operations/operations.ts';
import { ApiError } from '../status.ts';
import { BOOTSTRAP_ROLES } from './policy.ts';

const NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
const ROOT_CA = 'kube-root-ca.crt';

function priorityClass(name: string, value: number, description: string): JsonObject {
  return { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, value, description };
}

function kubernetesService(serviceCidr: string): JsonObject {
  const parts = (serviceCidr.split('/')[0] ?? '10.96.0.0').split('.').map(Number);
  parts[3] = (parts[3] ?? 0) + 1;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'kubernetes', namespace: 'default', labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: {
      type: 'ClusterIP',
      clusterIP: parts.join('.'),
      ports: [{ name: 'https', port: 443, targetPort: 6443, protocol: 'TCP' }],
    },
  };
}

export interface BootstrapOptions {
  readonly operations: Operations;
  readonly serviceCidr: string;
  readonly caCertificate: string;
  readonly advertise: { readonly address: string; readonly port: number } | undefined;
  readonly log: (line: string) => void;
}

/** Where an object goes. Throws when its kind is not served. */
export function targetOf(operations: Operations, object: JsonObject): Target {
  const { apiVersion, kind, metadata } = object as ApiObject;
  const definition = operations.registry.byKind(groupOf(apiVersion), kind);
  if (definition === undefined) throw new Error(`${apiVersion} ${kind} is not served`);
  const version = apiVersion.slice(apiVersion.indexOf('/') + 1);
  return {
    definition,
    version,
    namespace: definition.namespaced ? (metadata.namespace ?? 'default') : '',
    name: '',
    subresource: '',
  };
}

async function createMissing(operations: Operations, object: JsonObject): Promise<void> {
  const target = targetOf(operations, object);
  const name = (object as ApiObject).metadata.name;
  if (operations.store.get(storageKey(target.definition), target.namespace, name) !== undefined) return;
  try {
    await operations.create(target, acceptObject(target, object), internalContext('kube-apiserver'));
  } catch (error) {
    if (!(error instanceof ApiError) || (error.code !== 409 && error.code !== 403 && error.code !== 404)) throw error;
  }
}

/** Creates what a cluster has from its first moment on. Existing objects are left as they are. */
export async function bootstrap(options: BootstrapOptions): Promise<void> {
  const { operations } = options;
  for (const name of NAMESPACES)
    await createMissing(operations, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  for (const object of BOOTSTRAP_ROLES) await createMissing(operations, object);
  await createMissing(
    operations,
    priorityClass(
      'system-cluster-critical',
      2_000_000_000,
      'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
    ),
  );
  await createMissing(
    operations,
    priorityClass(
      'system-node-critical',
      2_000_001_000,
      'Used for system critical pods that must not be moved from their current node.',
    ),
  );
  await createMissing(operations, kubernetesService(options.serviceCidr));
  if (options.advertise !== undefined) await publishAddress(operations, options.advertise);
}

/** The endpoints of the `kubernetes` Service. */
async function publishAddress(
  operations: Operations,
  advertise: { readonly address: string; readonly port: number },
): Promise<void> {
  const metadata = { name: 'kubernetes', namespace: 'default' };
  const objects: readonly JsonObject[] = [
    {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata,
      subsets: [
        { addresses: [{ ip: advertise.address }], ports: [{ name: 'https', port: advertise.port, protocol: 'TCP' }] },
      ],
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [advertise.address], conditions: { ready: true } }],
      ports: [{ name: 'https', port: advertise.port, protocol: 'TCP' }],
    },
  ];
  for (const object of objects) {
    await createMissing(operations, object);
    const target = { ...targetOf(operations, object), name: 'kubernetes' };
    const { metadata: _m, ...content } = object;
    await operations.update(target, (current) => ({ ...current, ...content }), internalContext('kube-apiserver'));
  }
}

/**
 * Keeps in every namespace the `default` service account and the ConfigMap with the CA's certificate. Returns a function that ends it.
 */
export function keepNamespacesFurnished(options: BootstrapOptions): () => void {
  const { operations, caCertificate, log } = options;
  const { store } = operations;
  const furnish = (namespace: string) => {
    const found = store.get('/namespaces', '', namespace);
    if (found === undefined || found.metadata.deletionTimestamp !== undefined) return;
    const ca = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        name: ROOT_CA,
        namespace,
        annotations: { 'kubernetes.io/description': 'Contains a CA bundle that can be used to verify the API server.' },
      },
      data: { 'ca.crt': caCertificate },
    };
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    Promise.all([createMissing(operations, account), createMissing(operations, ca)]).catch((error: unknown) => {
      log(`namespace ${namespace}: ${error instanceof Error ? error.message : String(error)}`);
    });
  };
  for (const namespace of store.list('/namespaces')) furnish(namespace.metadata.name);
  return store.listenAll((key, event) => {
    const { metadata } = event.object;
    if (key === '/namespaces' && event.type === 'ADDED') furnish(metadata.name);
    const lost =
      event.type === 'DELETED' &&
      ((key === '/serviceaccounts' && metadata.name === 'default') ||
        (key === '/configmaps' && metadata.name === ROOT_CA));
    if (lost) setImmediate(() => furnish(metadata.namespace ?? ''));
  });
}
