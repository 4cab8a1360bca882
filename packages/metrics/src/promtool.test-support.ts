import { spawnSync } from 'node:child_process';

/**
 * What `promtool check metrics` says against a text: errors of its form, and remarks about names where `ours` says that the name is for us to choose
 * (Istio's and Envoy's names are not). Undefined where there is no promtool.
 */
export function promtoolComplaints(text: string, ours: (name: string) => boolean): readonly string[] | undefined {
  const { error, status, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8' });
  if (error) return undefined;
  const lines = stderr.split('\n').filter((line) => line !== '');
  // 3: remarks only.
  if (status !== 0 && status !== 3) return lines;
  return lines.filter((line) => ours(line.split(' ')[0] ?? ''));
}

/** The names of the metrics in a text. */
export function namesIn(text: string): readonly string[] {
  return [...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name = '']) => name);
}
