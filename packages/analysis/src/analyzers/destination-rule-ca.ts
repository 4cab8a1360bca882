import type { Analyzer } from '../analyzer.ts';

interface Tls {
  readonly mode?: string;
  readonly caCertificates?: string;
  readonly credentialName?: string;
  readonly insecureSkipVerify?: boolean;
}

/** TLS to servers whose certificate no named authority has to vouch for. */
const unverified = (tls: Tls | undefined): boolean =>
  (tls?.mode === 'SIMPLE' || tls?.mode === 'MUTUAL') &&
  !tls.caCertificates &&
  !tls.credentialName &&
  tls.insecureSkipVerify !== true;

/** DestinationRules that start TLS without saying who vouches for the server. */
export const destinationRuleCa: Analyzer = {
  name: 'destinationrule.CaCertificateAnalyzer',
  description: 'Checks that DestinationRules with TLS name the authorities of the server',
  inputs: ['DestinationRule'],
  run: (context) => {
    for (const entry of context.istio('DestinationRule')) {
      const { spec, name: destinationrule, namespace } = entry;
      const check = (policy: typeof spec.trafficPolicy, path: string): void => {
        const base = { destinationrule, namespace, host: spec.host };
        if (unverified(policy?.tls)) {
          const args = { ...base, mode: policy?.tls?.mode ?? '' };
          context.report(entry, 'NoServerCertificateVerificationDestinationLevel', args, `${path}.tls`);
        }
        (policy?.portLevelSettings ?? []).forEach(({ port, tls }, index) => {
          if (!unverified(tls)) return;
          const args = { ...base, mode: tls?.mode ?? '', port: String(port?.number ?? '') };
          const at = `${path}.portLevelSettings[${index}].tls`;
          context.report(entry, 'NoServerCertificateVerificationPortLevel', args, at);
        });
      };
      check(spec.trafficPolicy, 'spec.trafficPolicy');
      (spec.subsets ?? []).forEach((subset, index) => {
        check(subset.trafficPolicy, `spec.subsets[${index}].trafficPolicy`);
      });
    }
  },
};
