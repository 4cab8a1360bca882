import type { JsonObject } from '../json.ts';

const READ = ['get', 'list', 'watch'];
const WRITE = ['create', 'delete', 'deletecollection', 'patch', 'update'];

interface Rule {
  readonly groups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const rule = ({ groups, resources, verbs }: Rule): JsonObject => ({ apiGroups: groups, resources, verbs });

const WORKLOADS: readonly (readonly [groups: readonly string[], resources: readonly string[]])[] = [
  [
    [''],
    [
      'bindings',
      'configmaps',
      'endpoints',
      'events',
      'limitranges',
      'namespaces',
      'namespaces/status',
      'persistentvolumeclaims',
      'persistentvolumeclaims/status',
      'pods',
      'pods/log',
      'pods/status',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'replicationcontrollers/status',
      'resourcequotas',
      'resourcequotas/status',
      'serviceaccounts',
      'services',
      'services/status',
    ],
  ],
  [
    ['apps'],
    [
      'controllerrevisions',
      'daemonsets',
      'daemonsets/status',
      'deployments',
      'deployments/scale',
      'deployments/status',
      'replicasets',
      'replicasets/scale',
      'replicasets/status',
      'statefulsets',
      'statefulsets/scale',
      'statefulsets/status',
    ],
  ],
  [['autoscaling'], ['horizontalpodautoscalers', 'horizontalpodautoscalers/status']],
  [['batch'], ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status']],
  [['discovery.k8s.io'], ['endpointslices']],
  [['networking.k8s.io'], ['ingresses', 'ingresses/status', 'networkpolicies']],
  [['policy'], ['poddisruptionbudgets', 'poddisruptionbudgets/status']],
];

const EDITABLE: readonly (readonly [groups: readonly string[], resources: readonly string[]])[] = [
  [
    [''],
    [
      'configmaps',
      'endpoints',
      'events',
      'persistentvolumeclaims',
      'pods',
      'pods/attach',
      'pods/eviction',
      'pods/exec',
      'pods/portforward',
      'pods/proxy',
      'replicationcontrollers',
      'replicationcontrollers/scale',
      'secrets',
      'serviceaccounts',
      'services',
      'services/proxy',
    ],
  ],
  [
    ['apps'],
    [
      'daemonsets',
      'deployments',
      'deployments/rollback',
      'deployments/scale',
      'replicasets',
      'replicasets/scale',
      'statefulsets',
      'statefulsets/scale',
    ],
  ],
  [['autoscaling'], ['horizontalpodautoscalers']],
  [['batch'], ['cronjobs', 'jobs']],
  [['networking.k8s.io'], ['ingresses', 'networkpolicies']],
  [['policy'], ['poddisruptionbudgets']],
  [['coordination.k8s.io'], ['leases']],
];

const LABEL = 'rbac.authorization.k8s.io/aggregate-to-';

function role(name: string, rules: readonly JsonObject[], labels: Readonly<Record<string, string>> = {}): JsonObject {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: {
      name,
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults', ...labels },
      annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
    },
    rules,
  };
}

function aggregate(name: string, labels: Readonly<Record<string, string>> = {}): JsonObject {
  return {
    ...role(name, [], labels),
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [`${LABEL}${name}`]: 'true' } }] },
  };
}

function binding(name: string, groups: readonly string[]): JsonObject {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: {
      name,
      labels: { 'kubernetes.io/bootstrapping': 'rbac-defaults' },
      annotations: { 'rbac.authorization.kubernetes.io/autoupdate': 'true' },
    },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
    subjects: groups.map((group) => ({ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: group })),
  };
}

const PUBLIC_URLS = ['/healthz', '/livez', '/readyz', '/version', '/version/'];
const DISCOVERY_URLS = ['/api', '/api/*', '/apis', '/apis/*', ...PUBLIC_URLS, '/openapi', '/openapi/*'];

/** The roles and bindings that every cluster starts with (Kubernetes documentation, "Default roles and role bindings"). */
export const BOOTSTRAP_ROLES: readonly JsonObject[] = [
  role('cluster-admin', [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
    { nonResourceURLs: ['*'], verbs: ['*'] },
  ]),
  aggregate('admin'),
  aggregate('edit', { [`${LABEL}admin`]: 'true' }),
  aggregate('view', { [`${LABEL}edit`]: 'true' }),
  role(
    'system:aggregate-to-admin',
    [
      rule({ groups: ['authorization.k8s.io'], resources: ['localsubjectaccessreviews'], verbs: ['create'] }),
      rule({ groups: ['rbac.authorization.k8s.io'], resources: ['rolebindings', 'roles'], verbs: [...WRITE, ...READ] }),
    ],
    { [`${LABEL}admin`]: 'true' },
  ),
  role(
    'system:aggregate-to-edit',
    [
      ...EDITABLE.map(([groups, resources]) => rule({ groups, resources, verbs: WRITE })),
      rule({
        groups: [''],
        resources: ['pods/attach', 'pods/exec', 'pods/portforward', 'pods/proxy', 'secrets', 'services/proxy'],
        verbs: READ,
      }),
      rule({ groups: [''], resources: ['serviceaccounts'], verbs: ['impersonate'] }),
      rule({ groups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] }),
    ],
    { [`${LABEL}edit`]: 'true' },
  ),
  role(
    'system:aggregate-to-view',
    WORKLOADS.map(([groups, resources]) => rule({ groups, resources, verbs: READ })),
    { [`${LABEL}view`]: 'true' },
  ),
  role('system:discovery', [{ nonResourceURLs: DISCOVERY_URLS, verbs: ['get'] }]),
  role('system:public-info-viewer', [{ nonResourceURLs: PUBLIC_URLS, verbs: ['get'] }]),
  role('system:basic-user', [
    rule({
      groups: ['authorization.k8s.io'],
      resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      verbs: ['create'],
    }),
    rule({ groups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'], verbs: ['create'] }),
  ]),
  role('system:auth-delegator', [
    rule({ groups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] }),
    rule({ groups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] }),
  ]),
  role('system:service-account-issuer-discovery', [
    {
      nonResourceURLs: [
        '/.well-known/openid-configuration',
        '/.well-known/openid-configuration/',
        '/openid/v1/jwks',
        '/openid/v1/jwks/',
      ],
      verbs: ['get'],
    },
  ]),
  binding('cluster-admin', ['system:masters']),
  binding('system:discovery', ['system:authenticated']),
  binding('system:public-info-viewer', ['system:authenticated', 'system:unauthenticated']),
  binding('system:basic-user', ['system:authenticated']),
  binding('system:service-account-issuer-discovery', ['system:serviceaccounts']),
];
