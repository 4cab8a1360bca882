import { tryParseDuration } from '../duration.ts';
import type { ProblemList } from '../problems.ts';
import { checkClientTls } from '../rules/traffic-settings.ts';
import type { MeshConfig } from './mesh-config.ts';

const isAddress = (text: string): boolean => {
  const [, port = ''] = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:/[\]]+):(\d{1,5})$/.exec(text) ?? [];
  return Number(port) >= 1 && Number(port) <= 65_535;
};

/** What the schema cannot say of `ca`, and that `certificates` do nothing any more. */
export function checkAuthorities({ ca, certificates = [] }: MeshConfig, problems: ProblemList): void {
  if (certificates.length > 0)
    problems.warning(
      'certificates',
      'is without effect: Istio has removed it, no Secrets with certificates for DNS names are made; have them made by cert-manager, or by hand with istioctl x certs',
      'deprecated',
    );
  if (ca === undefined) return;
  if (!isAddress(ca.address ?? ''))
    problems.error('ca.address', `must be HOST:PORT of a CA, ${JSON.stringify(ca.address ?? '')} is not`);
  if (ca.requestTimeout !== undefined && (tryParseDuration(ca.requestTimeout) ?? 0) < 1)
    problems.error('ca.requestTimeout', 'must be at least 1ms');
  checkClientTls(ca.tlsSettings, 'ca.tlsSettings', problems);
  if (ca.istiodSide !== false) return;
  const { mode, credentialName } = ca.tlsSettings ?? {};
  if (credentialName)
    problems.error(
      'ca.tlsSettings.credentialName',
      'cannot stand with istiodSide: false, sidecars read no Secrets for their CA; mount files and name them',
    );
  if (mode === 'ISTIO_MUTUAL' || mode === 'DISABLE')
    problems.error(
      'ca.tlsSettings.mode',
      `${mode} cannot stand with istiodSide: false: ${mode === 'DISABLE' ? 'tokens of workloads go to a CA over TLS only' : 'a workload has no certificate of the mesh before the CA gives it one'}`,
    );
}
