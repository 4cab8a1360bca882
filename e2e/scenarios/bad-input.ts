import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually } from '../support/shell.ts';

/** What is wrong is refused with object, field and reason, and never touches what works. */
export function badInput(cluster: () => Cluster): void {
  const refused = async (yaml: string) => {
    const { exitCode, stderr, stdout } = await cluster().tryApply(yaml, 'istio-app');
    assert.notEqual(exitCode, 0, stdout);
    return stderr;
  };

  test('a route to nowhere', async () => {
    const message = await refused(
      'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: nobody}\nspec:\n  hosts: [frontend]\n  http: [{route: [{destination: {subset: v1}}]}]\n',
    );
    assert.match(message, /http\[0\]\.route\[0\]\.destination\.host/);
  });

  test('weights that make no sense', async () => {
    const message = await refused(
      'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: heavy}\nspec:\n  hosts: [frontend]\n  http:\n  - route:\n    - destination: {host: frontend}\n      weight: -5\n    - destination: {host: frontend}\n      weight: 5\n',
    );
    assert.match(message, /http\[0\]\.route\[0\]\.weight/);
  });

  test('a regular expression that RE2 does not take', async () => {
    const message = await refused(
      'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: pattern}\nspec:\n  hosts: [frontend]\n  http:\n  - match: [{uri: {regex: "(a"}}]\n    route: [{destination: {host: frontend}}]\n',
    );
    assert.match(message, /http\[0\]\.match\[0\]\.uri/);
  });

  test('a Gateway with TLS but no certificate', async () => {
    const message = await refused(
      'apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: bare}\nspec:\n  selector: {istio: ingressgateway}\n  servers:\n  - port: {number: 443, name: https, protocol: HTTPS}\n    hosts: ["*"]\n    tls: {mode: SIMPLE}\n',
    );
    assert.match(message, /servers\[0\]\.tls/);
  });

  test('the shop still works', async () => {
    const url = `http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/`;
    await eventually('the shop to answer', async () => assert.equal((await http(url)).status, 200));
  });
}
