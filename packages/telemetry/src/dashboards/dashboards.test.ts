import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseManifests } from '@istio-ts/kube';
import { parseQuery } from '../metrics/promql/parse.ts';

const root = join(import.meta.dirname, '..', '..', '..', '..');
const folder = join(root, 'addons', 'dashboards');

interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly templating: { readonly list: readonly { readonly name: string }[] };
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}
const dashboards = readdirSync(folder).map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Dashboard);

test('addons/grafana.yaml has the dashboards as they are', () => {
  execFileSync(process.execPath, [join(root, 'scripts', 'generate-grafana.ts'), '--check'], { stdio: 'pipe' });
  const objects = parseManifests(readFileSync(join(root, 'addons', 'grafana.yaml'), 'utf8'), 'grafana.yaml');
  const names = objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`);
  for (const name of ['grafana', 'istio-grafana-dashboards', 'istio-services-grafana-dashboards'])
    assert.ok(names.includes(`ConfigMap/${name}`), name);
  for (const kind of ['Service', 'Deployment', 'ServiceAccount']) assert.ok(names.includes(`${kind}/grafana`), kind);
  // What `kubectl apply` keeps in an annotation of the object.
  for (const object of objects)
    assert.ok(JSON.stringify(object).length < 256 * 1024, `${object.metadata.name} is too large for kubectl apply`);
});

test('queries of dashboards can be read, and use no variable that there is not', () => {
  const own = new Set(['__rate_interval', '__interval', '__range']);
  for (const { title, templating, panels } of dashboards) {
    const known = new Set([...templating.list.map(({ name }) => name), ...own]);
    for (const panel of panels)
      for (const { expr } of panel.targets ?? []) {
        for (const [, name = ''] of expr.matchAll(/\$\{?(\w+)/g)) assert.ok(known.has(name), `${title}: $${name}`);
        const query = expr.replaceAll('$__rate_interval', '1m').replace(/\$\{?\w+\}?/g, 'x');
        assert.doesNotThrow(() => parseQuery(query), `${title}: ${panel.title}: ${query}`);
      }
  }
});

test('panels have titles and places of their own', () => {
  assert.equal(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length);
  for (const { title, panels } of dashboards) {
    assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length, title);
    const taken = new Set<string>();
    for (const { title: name, targets, gridPos } of panels) {
      if (targets) assert.notEqual(name, '', title);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          assert.ok(!taken.has(`${x},${y}`) && x < 24, `${title}: ${name} overlaps`);
          taken.add(`${x},${y}`);
        }
    }
  }
});
