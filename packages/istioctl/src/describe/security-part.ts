import type { EffectivePeerAuthentication, ScopedProxy } from '@istio-ts/mesh';
import { effectivePeerAuthentication } from '@istio-ts/mesh/peer-authentication';
import { policiesFor } from '@istio-ts/mesh/policies';
import type { PolicyInForce } from '../proxy-config/authorization.ts';
import type { MeshView } from './mesh-view.ts';

type Labels = Readonly<Record<string, string>>;

/** Which mutual TLS mode holds for a pod, as istiod works it out. */
export function peerAuthenticationOf(view: MeshView, namespace: string, labels: Labels): EffectivePeerAuthentication {
  const policies = [...new Set([namespace, view.rootNamespace])].flatMap(
    (where) => view.mesh.peerAuthentications.get(where) ?? [],
  );
  return effectivePeerAuthentication(policies, { namespace, labels }, view.rootNamespace);
}

const named = (origins: readonly { readonly name: string; readonly namespace: string }[]) =>
  origins.map(({ name, namespace }) => `${name}.${namespace}`).join(', ');

/** What mutual TLS the pod asks of callers, and whom it lets in. `inForce` is what its Envoy enforces; undefined when that was not asked. */
export function securityLines(
  view: MeshView,
  namespace: string,
  labels: Labels,
  inForce: readonly PolicyInForce[] | undefined,
  gateway = false,
): readonly string[] {
  const { mode, portModes, origins } = peerAuthenticationOf(view, namespace, labels);
  const proxy: Pick<ScopedProxy, 'namespace' | 'labels'> = { namespace, labels };
  const of = <T>(collection: { get(key: string): readonly T[] | undefined }) =>
    [...new Set([namespace, view.rootNamespace])].flatMap((where) => collection.get(where) ?? []);
  const requests = policiesFor(of(view.mesh.requestAuthentications), proxy, view.rootNamespace);
  const policies = policiesFor(of(view.mesh.authorizationPolicies), proxy, view.rootNamespace);
  const lines = gateway
    ? ["PeerAuthentication: does not apply to gateways; the TLS settings of a Gateway's servers do"]
    : [
        'Effective PeerAuthentication:',
        `   Workload mTLS mode: ${mode}`,
        ...[...portModes].map(([port, own]) => `   Port ${port}: ${own}`),
        `   ${origins.length > 0 ? `Applied: ${named(origins)}` : 'No PeerAuthentication applies: this is the default'}`,
      ];
  if (requests.length > 0)
    lines.push(
      'RequestAuthentications:',
      ...requests.map(({ origin, spec }) => {
        const issuers = (spec.jwtRules ?? []).map(({ issuer }) => issuer ?? '').join(', ');
        return `   ${named([origin])}: tokens of ${issuers || 'nobody'}`;
      }),
    );
  if (policies.length > 0)
    lines.push(
      'AuthorizationPolicies:',
      ...policies.flatMap(({ origin, spec, annotations }) => {
        const rules = spec.rules?.length ?? 0;
        const dryRun = annotations['istio.io/dry-run'] === 'true';
        const found = inForce?.some(({ policy }) => policy === named([origin]));
        return [
          `   ${named([origin])}: ${spec.action ?? 'ALLOW'}, ${rules} ${rules === 1 ? 'rule' : 'rules'}${dryRun ? ' (dry run)' : ''}`,
          ...(found === false && rules > 0 && !dryRun
            ? [`   WARNING: the pod's Envoy does not have ${named([origin])} in force`]
            : []),
          ...(rules === 0 && (spec.action ?? 'ALLOW') === 'ALLOW' ? ['      without rules it admits nothing'] : []),
        ];
      }),
    );
  return lines;
}
