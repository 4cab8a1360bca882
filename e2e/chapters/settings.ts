import assert from 'node:assert/strict';
import { test } from 'node:test';
import { http } from '../support/http.ts';
import { until } from '../support/shell.ts';
import type { Chapter } from './chapter.ts';

const gateway = `apiVersion: networking.istio.io/v1alpha3
kind: Gateway
metadata: {name: addon-gateway}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 80, name: http, protocol: HTTP}
    hosts: [httpbin.127.0.0.1.nip.io]
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin.127.0.0.1.nip.io]
  gateways: [addon-gateway]
  http: [{route: [{destination: {host: httpbin, port: {number: 8000}}}]}]
`;

/** The tutorial on Istio 1.7: settings on the command line, a fixed node port, injection by hand and by label. */
export function settings(chapter: () => Chapter): void {
  test('Istio 1.7: settings, node port, injection', async () => {
    const { terminal, release, version, cluster } = chapter();
    const machine = process.arch === 'arm64' ? 'arm64' : 'x86_64';
    await terminal.type(`curl -sL ${release.url}/downloadIstio | ISTIO_VERSION=${version} TARGET_ARCH=${machine} sh -`);
    const type = (command: string, input?: string) =>
      terminal.type(`export PATH=${terminal.folder}/istio-${version}/bin:$PATH && ${command}`, input);
    await type(
      `istioctl install \\
        --set values.global.proxy.holdApplicationUntilProxyStarts=true \\
        --set values.gateways.istio-ingressgateway.type=NodePort \\
        --set meshConfig.accessLogFile=/dev/stdout \\
        --set meshConfig.accessLogEncoding=JSON`,
      'y\n',
    );
    await type(
      `kubectl patch svc istio-ingressgateway --patch '{"spec":{"ports":[{"port": 80, "nodePort":30080}]}}' -n istio-system`,
    );
    assert.match(await type('kubectl get svc istio-ingressgateway -n istio-system'), /NodePort .*80:30080\/TCP/);

    const sample = `istio-${version}/samples/httpbin/httpbin.yaml`;
    await type(`istioctl kube-inject -f ${sample} | kubectl apply -f -`);
    assert.match(await cluster.podsReady('default', 'app=httpbin'), /2\/2/);
    await type(`kubectl delete -f ${sample}`);
    await type('kubectl label namespace default istio-injection=enabled');
    await type(`kubectl apply -f ${sample}`);
    assert.match(await cluster.podsReady('default', 'app=httpbin'), /2\/2/);
    await type(
      `kubectl patch deployment httpbin --patch '{"spec":{"template":{"metadata":{"annotations":{"sidecar.istio.io/inject":"false"}}}}}'`,
    );
    await type('kubectl rollout status deployment httpbin');
    await until('the pod without a sidecar to be the only one', async () =>
      /^httpbin-\S+ +1\/1 [^\n]*\n$/.test(await type('kubectl get pods -l app=httpbin --no-headers'))
        ? true
        : undefined,
    );
    await type(
      `kubectl patch deployment httpbin --patch '{"spec":{"template":{"metadata":{"annotations":{"sidecar.istio.io/inject":null}}}}}'`,
    );
    await type('kubectl rollout status deployment httpbin');

    await type('kubectl apply -f -', gateway);
    assert.match(
      await type('kubectl get gw,vs'),
      /virtualservice\S+httpbin +\["addon-gateway"\] +\["httpbin\.127\.0\.0\.1\.nip\.io"\]/,
    );
    const node = await type(
      `kubectl get nodes -o 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}'`,
    );
    const answers = (url: string) =>
      until(`${url} to answer`, async () => {
        const { status } = await http(url, { headers: { host: 'httpbin.127.0.0.1.nip.io' }, timeoutMs: 3000 });
        return status === 200 ? true : undefined;
      });
    await answers('http://127.0.0.1:30080/get');
    assert.ok(node.length > 0);
    const logs = await until('an entry of the access log', async () => {
      const text = await type('kubectl logs -n istio-system deploy/istio-ingressgateway');
      return /^\{.*"path":"\/get"/m.test(text) ? text : undefined;
    });
    assert.match(logs, /"response_code":200/);
    await type('istioctl uninstall --purge -y');
    await type('kubectl delete ns istio-system');
    await type(`kubectl label namespace default istio-injection- && kubectl delete -f ${sample}`);
  });
}
