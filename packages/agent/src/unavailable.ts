import { type AgentSettings, EnvironmentError } from './environment.ts';
import { asObject, field, textField } from './json.ts';

/**
 * Looks for settings that stock Envoy or this agent cannot carry out. Gives what to warn of where the setting itself allows to go on without; raises
 * EnvironmentError where it does not, because a proxy that quietly does something else would be worse than none.
 */
export function unavailableSettings({ proxyConfig: { raw } }: AgentSettings): readonly string[] {
  const template = textField(raw, 'proxyBootstrapTemplatePath');
  if (template !== '')
    throw new EnvironmentError(
      'proxyBootstrapTemplatePath',
      'the bootstrap is not made of a template; merge into it with the annotation sidecar.istio.io/bootstrapOverride or an EnvoyFilter for BOOTSTRAP, or give a whole one with customConfigFile',
    );
  const providers = asObject(field(raw, 'privateKeyProvider'));
  return Object.keys(providers).map((name) => {
    const what = 'stock Envoy has no provider of private keys but itself';
    if (field(asObject(field(providers, name)), 'fallback') !== true)
      throw new EnvironmentError(
        `privateKeyProvider.${name}`,
        `${what}; set its field fallback to true to use keys without it, or remove the setting`,
      );
    return `privateKeyProvider.${name}: ${what}, which it falls back to`;
  });
}
