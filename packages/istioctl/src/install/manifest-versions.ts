import { VERSION } from '@istio-ts/api/version';
import { dump } from 'js-yaml';
import { OperatorError } from './failure.ts';
import type { Ui } from './ui.ts';

/** How many minor versions an upgrade may cross: the one before, or the one before that (Istio's support statement of canary upgrades). */
const reach = 2;

/** Minor versions that this one can take over from, oldest first, without the patch: `1.28`. */
export function upgradableFrom(version: string): readonly string[] {
  const [, major = '1', minor = '0'] = /^(\d+)\.(\d+)/.exec(version) ?? [];
  const last = Number(minor);
  return Array.from({ length: reach + 1 }, (_, index) => last - reach + index)
    .filter((each) => each >= 0)
    .map((each) => `${major}.${each}`);
}

/** `istioctl manifest versions`. Raises OperatorError for an unknown output format. */
export async function runManifestVersions({
  ui,
  output,
}: {
  readonly ui: Ui;
  readonly output: string;
}): Promise<number> {
  const operatorVersion = VERSION;
  const supportedIstioVersions = upgradableFrom(VERSION);
  const recommendedIstioVersions = [VERSION];
  const all = { operatorVersion, supportedIstioVersions, recommendedIstioVersions };
  switch (output) {
    case 'yaml':
      ui.line(dump(all).trimEnd());
      return 0;
    case 'json':
      ui.line(JSON.stringify(all, null, 2));
      return 0;
    case 'short':
    case '':
      ui.line(`This istioctl installs Istio ${operatorVersion}.`);
      ui.line(`It upgrades installations of ${supportedIstioVersions.map((each) => `${each}.x`).join(', ')}.`);
      return 0;
    default:
      throw new OperatorError(`output format "${output}" is not supported: use short, yaml or json`);
  }
}
