import { fields, list, text } from '@istio-ts/mesh/kubernetes/read';
import type { JWTRule } from '@istio-ts/api';
import type { Analyzer } from '../analyzer.ts';
import { nameOf } from '../config-object.ts';

/** Environment variable of istiod with the address ranges from which it fetches no keys (istio-surface.md, istiod features). */
const restriction = 'BLOCKED_CIDRS_IN_JWKS_URIS';

/** Whether the keys of a rule come from a server: one that it names, or that the OpenID configuration of its issuer names. */
const isFetched = ({ jwksUri, jwks, issuer }: JWTRule): boolean =>
  (jwksUri ?? '') !== '' || (!jwks && /^https?:\/\//.test(issuer));

/** Keys that istiod fetches from wherever an author says. */
export const jwksUri: Analyzer = {
  name: 'auth.JwksURIAnalyzer',
  description: 'Finds RequestAuthentications whose keys istiod fetches without any restriction of the address',
  inputs: ['RequestAuthentication', 'Deployment'],
  run: (context) => {
    const { istioNamespace, revision } = context.snapshot;
    const istiod = context
      .objects('Deployment')
      .find(
        ({ namespace, labels }) =>
          namespace === istioNamespace && labels.app === 'istiod' && (labels['istio.io/rev'] ?? 'default') === revision,
      );
    if (istiod === undefined) return;
    const pod = fields(fields(fields(istiod.object.spec).template).spec);
    const restricted = list(pod.containers)
      .flatMap((container) => list(fields(container).env))
      .map(fields)
      .some((variable) => variable.name === restriction && text(variable.value) !== '');
    if (restricted) return;
    const fetching = context.istio('RequestAuthentication').filter(({ spec }) => (spec.jwtRules ?? []).some(isFetched));
    if (fetching.length === 0) return;
    const names = fetching.map(nameOf);
    const shown = names.length > 5 ? `${names.slice(0, 5).join(', ')}, ...` : names.join(', ');
    context.report(istiod, 'JwksUriFetchUnrestricted', { count: fetching.length, names: shown });
  },
};
