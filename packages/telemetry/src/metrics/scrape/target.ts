import { isLabelName, type Labels, labelsFrom, labelsKey } from '../labels.ts';
import type { ScrapeConfig } from './config.ts';
import type { DiscoveredLabels } from './kubernetes-targets.ts';
import { relabel } from './relabel.ts';

/** Something to scrape. */
export interface Target {
  readonly config: ScrapeConfig;
  /** Same key: same target. */
  readonly key: string;
  readonly url: string;
  /** Labels of all its series. */
  readonly labels: Labels;
  /** Before relabelling. */
  readonly discovered: DiscoveredLabels;
}

/** A target that the rules drop, or that cannot be scraped. */
export interface DroppedTarget {
  readonly job: string;
  readonly discovered: DiscoveredLabels;
  readonly reason: string | undefined;
}

/** Static and discovered targets of one job, each once, and those that are dropped. */
export function targetsOf(
  config: ScrapeConfig,
  discovered: readonly DiscoveredLabels[],
): { readonly targets: readonly Target[]; readonly dropped: readonly DroppedTarget[] } {
  const found = new Map<string, Target>();
  const dropped: DroppedTarget[] = [];
  const statics = config.statics.flatMap(({ targets, labels }) =>
    targets.map((target): DiscoveredLabels => new Map([...labels, ['__address__', target]])),
  );
  for (const labels of [...statics, ...discovered]) {
    const target = targetOf(config, labels);
    if (typeof target === 'string' || target === undefined)
      dropped.push({ job: config.job, discovered: labels, reason: target });
    else found.set(target.key, target);
  }
  return { targets: [...found.values()], dropped };
}

/** A text says why it cannot be scraped; undefined: the rules drop it. */
function targetOf(config: ScrapeConfig, discovered: DiscoveredLabels): Target | string | undefined {
  const preset = new Map([
    ['job', config.job],
    ['__metrics_path__', config.path],
    ['__scheme__', config.scheme],
    ...[...config.params].map(([name, value]) => [`__param_${name}`, value] as const),
  ]);
  for (const [name, value] of discovered) if (value !== '') preset.set(name, value);
  const labels = relabel(preset, config.relabel);
  if (labels === undefined) return undefined;
  const scheme = labels.get('__scheme__') ?? 'http';
  let address = labels.get('__address__') ?? '';
  if (address === '') return 'no address';
  if (address.includes('/') || (scheme !== 'http' && scheme !== 'https'))
    return `${JSON.stringify(`${scheme}://${address}`)} is not an address`;
  if (!/:\d+$/.test(address)) address += scheme === 'https' ? ':443' : ':80';
  const params = new URLSearchParams(
    [...labels]
      .filter(([name]) => name.startsWith('__param_'))
      .map(([name, value]): [string, string] => [name.slice('__param_'.length), value]),
  );
  const query = params.size === 0 ? '' : `?${params}`;
  const path = labels.get('__metrics_path__') ?? '/metrics';
  const url = `${scheme}://${address}${path.startsWith('/') ? '' : '/'}${path}${query}`;
  if (!URL.canParse(url)) return `${JSON.stringify(url)} is not a URL`;
  const kept = new Map([...labels].filter(([name]) => !name.startsWith('__')));
  const wrong = [...kept.keys()].find((name) => !isLabelName(name));
  if (wrong !== undefined) return `${JSON.stringify(wrong)} is not a label name`;
  if (!kept.has('instance')) kept.set('instance', address);
  const final = labelsFrom(kept);
  return { config, key: `${config.job}\u{2}${url}\u{2}${labelsKey(final)}`, url, labels: final, discovered: preset };
}
