import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { chartInput, injected, podWith } from './injection.test-support.ts';
import { type JsonObject, listAt } from './json.ts';

/** Values that would be YAML or templates of their own where a template puts them in as they are. */
const hostile = [
  'info\n    securityContext: {privileged: true}\n    x: y',
  'info"\n    securityContext: {privileged: true}\n    x: "y',
  "info'\n    securityContext: {privileged: true}\n    x: 'y",
  'info\n  - name: smuggled\n    image: smuggled\n    securityContext: {privileged: true}',
  'info\n---\nkind: Pod',
  '{{ .Values.global.hub }}smuggled',
  '1\n      privileged: true',
  '{securityContext: {privileged: true}, name: smuggled}',
  '&a [*a,*a] # ',
  '!!binary smuggled',
  'info\r    privileged: true',
  'info\u2028    privileged: true',
];
const files = join(import.meta.dirname, '../../charts/manifests/istiod/files');

/** What must not come out of a value: a privilege, a container, a volume of the node. */
function check(pod: JsonObject, what: string): void {
  const containers = [...listAt(pod, 'spec', 'containers'), ...listAt(pod, 'spec', 'initContainers')];
  for (const container of containers) {
    assert.ok(['app', 'istio-proxy', 'istio-init', 'istio-validation'].includes(String(container.name)), what);
    const context = (container.securityContext ?? {}) as JsonObject;
    assert.notEqual(context.privileged, true, what);
    assert.ok(!('x' in container) && !('privileged' in container), what);
    if (container.readinessProbe !== undefined)
      assert.ok(!('privileged' in (container.readinessProbe as JsonObject)), what);
  }
  assert.doesNotMatch(JSON.stringify((pod.spec as JsonObject).volumes ?? []), /hostPath/, what);
}

for (const [templates, file] of [
  ['sidecar', 'injection-template.yaml'],
  ['gateway', 'gateway-injection-template.yaml'],
] as const)
  test(`no annotation or label of a pod smuggles fields into what the template ${templates} makes`, () => {
    const text = readFileSync(join(files, file), 'utf8');
    const names = new Set(
      [...text.matchAll(/"([a-z0-9.-]+\.istio\.io\/[A-Za-z0-9-]+|istio\.io\/[A-Za-z0-9-]+)"/g)].map(
        ([, name]) => name ?? '',
      ),
    );
    assert.ok(names.size > (templates === 'sidecar' ? 10 : 1), [...names].join());
    let rendered = 0;
    for (const name of names)
      for (const value of hostile)
        for (const at of ['annotations', 'labels'] as const) {
          // Names of volumes are meant to be given by these two.
          if (/userVolume/.test(name)) continue;
          const annotations = { 'inject.istio.io/templates': templates };
          const metadata = {
            annotations: { ...annotations, ...(at === 'annotations' && { [name]: value }) },
            ...(at === 'labels' && { labels: { [name]: value } }),
          };
          let pod: JsonObject;
          try {
            pod = injected({ ...chartInput(), pod: podWith({ metadata }) });
          } catch {
            // Refused, with a message: nothing comes of it.
            continue;
          }
          rendered++;
          check(pod, `${at} ${name}: ${JSON.stringify(value)}: ${JSON.stringify(pod.spec)}`);
        }
    assert.ok(rendered > 20, String(rendered));
  });
