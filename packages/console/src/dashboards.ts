import type { DashboardName } from './api.ts';
import { readFolder } from './http/static-files.ts';
import { fields, text } from './mesh/read.ts';

/** A dashboard of Grafana's JSON. */
export interface Dashboard extends DashboardName {
  readonly json: unknown;
}

/** Reads the dashboards of a folder, in the order of their file names. What is no dashboard is told to `warn` and left out. */
export function readDashboards(folder: string, warn: (text: string) => void): ReadonlyMap<string, Dashboard> {
  const found = new Map<string, Dashboard>();
  for (const [path, bytes] of [...readFolder(folder)].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!path.endsWith('.json')) continue;
    try {
      const json = fields(JSON.parse(bytes.toString('utf8')));
      const uid = text(json.uid);
      if (!/^[\w-]{1,64}$/.test(uid) || text(json.title) === '') throw new Error('it has no uid or no title');
      found.set(uid, { uid, title: text(json.title), description: text(json.description), json });
    } catch (error) {
      warn(`dashboard ${path} is left out: ${(error as Error).message}`);
    }
  }
  return found;
}
