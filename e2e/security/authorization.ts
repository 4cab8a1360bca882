import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves, provesAnnotations } from '@istio-ts/xds/field-proof';
import { eventually, until } from '../support/shell.ts';
import { becomes, type Lab } from './lab.ts';

const policy = (name: string, spec: string, annotations = '') => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: ${name}
${annotations}spec:
${spec}`;
const ofApp = (app: string) => `  selector:\n    matchLabels:\n      app: ${app}\n`;

/** The tasks about authorization inside the mesh: HTTP, TCP, explicit deny, dry run. */
export function authorization(lab: () => Lab): void {
  test('authorization for HTTP traffic: nothing, then one call after the other of Bookinfo', async () => {
    proves(
      'AuthorizationPolicy.spec.selector.matchLabels',
      'AuthorizationPolicy.spec.action',
      'AuthorizationPolicy.spec.rules[].from[].source.principals',
      'AuthorizationPolicy.spec.rules[].to[].operation.methods',
    );
    const { cluster } = lab();
    await cluster.kubectl('label', 'ns', 'default', 'istio-injection=enabled', '--overwrite');
    await lab().applySamples(
      'default',
      'bookinfo/platform/kube/bookinfo.yaml',
      'bookinfo/networking/bookinfo-gateway.yaml',
    );
    await cluster.podsReady('default');
    const page = () => lab().curlHere(`http://${lab().ingress}/productpage`);
    /** What of the page is there: the book's details, the reviews, and their stars (which two of three versions show). */
    const parts = async (): Promise<string> => {
      const text = await page();
      if (/RBAC: access denied/.test(text)) return 'denied';
      const details = !/details are currently unavailable/i.test(text);
      const reviews = !/reviews are currently unavailable/i.test(text);
      const ratings = !/[Rr]atings (service )?(is|are) currently unavailable/.test(text);
      return [details && 'details', reviews && 'reviews', reviews && ratings && 'ratings'].filter(Boolean).join(' ');
    };
    const apply = (name: string, spec: string) => lab().apply(policy(name, spec), 'default');
    const viewer = (app: string, account?: string) =>
      apply(
        `${app}-viewer`,
        `${ofApp(app)}  action: ALLOW\n  rules:\n    - to:\n        - operation:\n            methods: ["GET"]\n${
          account === undefined
            ? ''
            : `      from:\n        - source:\n            principals: ["cluster.local/ns/default/sa/${account}"]\n`
        }`,
      );
    const sees = (what: string) => becomes(`the page with: ${what}`, what, parts, 6);
    await sees('details reviews ratings');
    await lab().apply(policy('allow-nothing', '  {}'), 'default');
    await sees('denied');
    await viewer('productpage');
    await sees('');
    await viewer('details', 'bookinfo-productpage');
    await sees('details');
    await viewer('reviews', 'bookinfo-productpage');
    await sees('details reviews');
    await viewer('ratings', 'bookinfo-reviews');
    await sees('details reviews ratings');
    await becomes('GET only', '403', () => lab().statusHere('-X', 'POST', `http://${lab().ingress}/productpage`));
    const policies = ['allow-nothing', 'productpage-viewer', 'details-viewer', 'reviews-viewer', 'ratings-viewer'];
    await lab().remove('default', ...policies.map((name) => `authorizationpolicy/${name}`));
    await lab().remove('default', 'virtualservice/bookinfo', 'gateway/bookinfo-gateway');
  });

  test('authorization for TCP traffic: ports, and rules that only HTTP could answer', async () => {
    proves(
      'AuthorizationPolicy.spec.rules[].to[].operation.ports',
      'AuthorizationPolicy.spec.rules[].to[].operation.methods',
      'AuthorizationPolicy.spec.action',
    );
    const { cluster } = lab();
    await lab().applySamples('foo', 'tcp-echo/tcp-echo.yaml');
    await cluster.podsReady('foo');
    const pod = await cluster.podOf('foo', 'tcp-echo');
    const ip = (await cluster.kubectl('get', 'pod', '-n', 'foo', pod, '-o', 'jsonpath={.status.podIP}')).trim();
    /** As the task says it: a line through netcat, and whether it comes back. */
    const ask = async (host: string, port: number): Promise<string> => {
      const command = `echo "port ${port}" | nc -w 3 ${host} ${port}`;
      return /hello port/.test((await lab().exec('foo', 'sh', '-c', command)).stdout) ? 'succeeded' : 'rejected';
    };
    const all = async () =>
      (await Promise.all([ask('tcp-echo', 9000), ask('tcp-echo', 9001), ask(ip, 9002)])).join(' ');
    await becomes('all ports', 'succeeded succeeded succeeded', all, 1);
    const apply = (action: string, methods: string, ports: string) =>
      lab().apply(
        policy(
          'tcp-policy',
          `${ofApp('tcp-echo')}  action: ${action}\n  rules:\n    - to:\n        - operation:\n${methods}            ports: [${ports}]\n`,
        ),
      );
    const get = '            methods: ["GET"]\n';
    await apply('ALLOW', '', '"9000", "9001"');
    await becomes('two ports', 'succeeded succeeded rejected', all, 1);
    await apply('ALLOW', get, '"9000"');
    await becomes('none, as there is no method', 'rejected rejected rejected', all, 1);
    await apply('DENY', get, '"9000"');
    await becomes('all but that port, whatever the method', 'rejected succeeded succeeded', all, 1);
    await lab().remove('foo', 'authorizationpolicy/tcp-policy', 'deployment/tcp-echo', 'service/tcp-echo');
  });

  test('explicit deny: by method, by a header’s value, and before what is allowed', async () => {
    proves(
      'AuthorizationPolicy.spec.action',
      'AuthorizationPolicy.spec.rules[].to[].operation.methods',
      'AuthorizationPolicy.spec.rules[].to[].operation.paths',
      'AuthorizationPolicy.spec.rules[].when[].key',
      'AuthorizationPolicy.spec.rules[].when[].values',
      'AuthorizationPolicy.spec.rules[].when[].notValues',
    );
    const ask = (path: string, ...args: readonly string[]) =>
      lab().status('bar', ...args, `http://httpbin.foo:8000${path}`);
    const deny = (when = '') =>
      lab().apply(
        policy(
          'deny-method-get',
          `${ofApp('httpbin')}  action: DENY\n  rules:\n    - to:\n        - operation:\n            methods: ["GET"]\n${when}`,
        ),
      );
    await deny();
    await becomes('GET refused', '403', () => ask('/get'));
    await becomes('an answer', '200', () => ask('/post', '-X', 'POST'));
    await eventually('the reason', async () =>
      assert.match(await lab().curl('bar', 'http://httpbin.foo:8000/get'), /^RBAC: access denied/),
    );
    await deny('      when:\n        - key: request.headers[x-token]\n          notValues: ["admin"]\n');
    await becomes('GET of an admin', '200', () => ask('/get', '-H', 'x-token: admin'));
    await becomes('a refusal', '403', () => ask('/get', '-H', 'x-token: guest'));
    await becomes('a refusal', '403', () => ask('/get'));
    await lab().apply(
      policy(
        'allow-path-ip',
        `${ofApp('httpbin')}  action: ALLOW\n  rules:\n    - to:\n        - operation:\n            paths: ["/ip"]\n`,
      ),
    );
    await becomes('nothing but /ip', '403', () => ask('/get', '-H', 'x-token: admin'));
    await becomes('DENY goes first', '403', () => ask('/ip', '-H', 'x-token: guest'));
    await becomes('an answer', '200', () => ask('/ip', '-H', 'x-token: admin'));
    await lab().remove('foo', 'authorizationpolicy/deny-method-get', 'authorizationpolicy/allow-path-ip');
    await becomes('everything', '200', () => ask('/get'));
  });

  test('dry run: nothing is refused, and the metric says what would have been', async () => {
    proves('AuthorizationPolicy.spec.action', 'AuthorizationPolicy.spec.rules[].to[].operation.paths');
    provesAnnotations('istio.io/dry-run');
    const dryRun = "  annotations:\n    istio.io/dry-run: 'true'\n";
    const ask = () => lab().status('bar', 'http://httpbin.foo:8000/headers');
    const apply = (action: string, path: string) =>
      lab().apply(
        policy(
          `${action.toLowerCase()}-path`,
          `${ofApp('httpbin')}  action: ${action}\n  rules:\n    - to:\n        - operation:\n            paths: ["${path}"]\n`,
          dryRun,
        ),
      );
    await apply('DENY', '/headers');
    await apply('ALLOW', '/ip');
    const metrics = async () => {
      const { cluster } = lab();
      const pod = await cluster.podOf('foo', 'httpbin');
      return cluster.kubectl(
        ...['exec', '-n', 'foo', pod, '-c', 'istio-proxy', '--'],
        ...['curl', '-s', 'http://127.0.0.1:15000/stats/prometheus'],
      );
    };
    for (const [action, result] of [
      ['deny', 'denied'],
      ['allow', 'denied'],
    ] as const)
      await until(`the metric of ${action}`, async () => {
        assert.equal(await ask(), '200');
        const lines = (await metrics()).split('\n').filter((line) => /rbac.*shadow|dry_run/.test(line));
        const found = lines.some(
          (line) => line.includes(`"${action}"`) && line.includes(`"${result}"`) && !/ 0$/.test(line),
        );
        if (!found) throw new Error(`metrics:\n${lines.join('\n')}`);
        return true;
      });
    await lab().remove('foo', 'authorizationpolicy/deny-path', 'authorizationpolicy/allow-path');
  });
}
