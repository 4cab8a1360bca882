import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Cluster, clusterCommands, environmentOf } from './cluster.ts';
import { addressPool, type LoadBalancers, startLoadBalancers } from './load-balancers.ts';
import { until } from './shell.ts';

/** Kinds of objects without a namespace that installations and tests make. */
const CLUSTER_KINDS = [
  'namespaces',
  'validatingwebhookconfigurations.admissionregistration.k8s.io',
  'mutatingwebhookconfigurations.admissionregistration.k8s.io',
  'validatingadmissionpolicies.admissionregistration.k8s.io',
  'validatingadmissionpolicybindings.admissionregistration.k8s.io',
  'clusterrolebindings.rbac.authorization.k8s.io',
  'clusterroles.rbac.authorization.k8s.io',
  'priorityclasses.scheduling.k8s.io',
  'customresourcedefinitions.apiextensions.k8s.io',
];
/** Kinds that the tests make in namespaces which are not theirs. */
const NAMESPACED_KINDS = [
  'deployments.apps',
  'statefulsets.apps',
  'daemonsets.apps',
  'jobs.batch',
  'pods',
  'services',
  'configmaps',
  'secrets',
  'serviceaccounts',
  'ingresses.networking.k8s.io',
  'networkpolicies.networking.k8s.io',
  'horizontalpodautoscalers.autoscaling',
  'poddisruptionbudgets.policy',
  'roles.rbac.authorization.k8s.io',
  'rolebindings.rbac.authorization.k8s.io',
  'resourcequotas',
  'limitranges',
];

/** The labels of namespaces: tests put some on those that were there before, as the one for injection. */
async function labelsOf(
  { kubectl }: Pick<Cluster, 'kubectl'>,
  names: ReadonlySet<string>,
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const { items } = JSON.parse(await kubectl('get', 'namespaces', '-o', 'json')) as {
    readonly items: readonly {
      readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
    }[];
  };
  return new Map(
    items
      .filter(({ metadata }) => names.has(metadata.name))
      .map(({ metadata }) => [metadata.name, metadata.labels ?? {}]),
  );
}

/**
 * The cluster of a kubeconfig. What is in it before stays; what the tests make goes with `down`, whatever it is. A cluster in which istiod runs already is
 * refused: the tests would change somebody's mesh.
 */
export async function takeCluster(kubeconfig: string): Promise<Cluster> {
  const home = mkdtempSync(join(tmpdir(), 'istio-ts-e2e-'));
  mkdirSync(join(home, 'state'));
  const users = process.env.ISTIO_TS_HOME || join(homedir(), '.istio-ts');
  const env = { ...environmentOf(resolve(kubeconfig), [join(users, 'bin')]), ISTIO_TS_HOME: join(home, 'state') };
  const commands = clusterCommands(env);

  const listed = async (...query: readonly string[]): Promise<readonly string[]> =>
    (await commands.kubectl('get', ...query, '--ignore-not-found')).split('\n').filter((line) => line !== '');
  /** Objects as `kind/name` or `namespace:kind/name`, of the cluster and of these namespaces. */
  const everything = async (namespaces: ReadonlySet<string>): Promise<readonly string[]> => {
    const template =
      '{{range .items}}{{.metadata.namespace}}:{{.kind}}.{{.apiVersion}}/{{.metadata.name}}{{"\\n"}}{{end}}';
    const [cluster, namespaced] = await Promise.all([
      listed(CLUSTER_KINDS.join(','), '-o', 'name'),
      listed(NAMESPACED_KINDS.join(','), '-A', '-o', `go-template=${template}`),
    ]);
    const ofThese = namespaced.flatMap((line) => {
      const [, namespace, kind, version, name] = /^([^:]*):(\w+)\.([^/]+(?:\/[^/]+)?)\/([^/]+)$/.exec(line) ?? [];
      if (namespace === undefined || !namespaces.has(namespace)) return [];
      const group = version?.includes('/') ? `.${version.split('/')[0]}` : '';
      return [`${namespace}:${kind}${group}/${name}`];
    });
    return [...cluster, ...ofThese];
  };

  const deployments = await commands.kubectl('get', 'deployments', '-A', '-l', 'app=istiod', '-o', 'name');
  if (deployments.trim() !== '')
    throw new Error('istiod runs in this cluster: the tests want one without a mesh (istioctl uninstall --purge)');
  const own = new Set((await listed('namespaces', '-o', 'name')).map((name) => name.replace('namespace/', '')));
  const before = new Set(await everything(own));
  const labelsBefore = await labelsOf(commands, own);
  const pool = addressPool(process.env.E2E_LOAD_BALANCERS);
  const balancers: LoadBalancers | undefined = pool && startLoadBalancers(commands, pool);

  const down = async () => {
    balancers?.stop();
    await commands.tryIstioctl('uninstall', '--purge', '-y');
    for (const [namespace, labels] of await labelsOf(commands, own)) {
      const added = Object.keys(labels).filter((label) => labelsBefore.get(namespace)?.[label] === undefined);
      if (added.length > 0)
        await commands.tryKubectl('label', 'namespace', namespace, ...added.map((label) => `${label}-`));
    }
    // Namespaces first: webhooks and definitions that are still there let their objects be deleted properly.
    const made = (await everything(own)).filter((name) => !before.has(name));
    for (const object of made) {
      const [namespace, name] = object.includes(':') ? object.split(':', 2) : [undefined, object];
      if (name === undefined) continue;
      const where = namespace === undefined ? [] : ['-n', namespace];
      await commands.tryKubectl('delete', name, ...where, '--ignore-not-found', '--wait=false');
    }
    await until(
      'what the tests made to be gone',
      async () => {
        const left = (await everything(own)).filter((name) => !before.has(name) && made.includes(name));
        if (left.length > 0) throw new Error(`still there: ${left.slice(0, 10).join(', ')}`);
        return true;
      },
      300_000,
      2000,
    );
    rmSync(home, { recursive: true, force: true });
  };
  return { name: 'given', home, env, ...commands, down };
}
