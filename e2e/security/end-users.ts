import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { everyHost, everyHostToHttpbin, routesOfEveryHost } from '../support/httpbin.ts';
import { becomes, type Lab } from './lab.ts';
import { issuer } from './tokens.ts';

const url = (path = '/ip') => `http://httpbin.foo:8000${path}`;
const bearer = (token: string) => ['-H', `Authorization: Bearer ${token}`] as const;

/** The tasks about tokens: end-user authentication, authorization with tokens, claims to headers, routes by claims. */
export function endUsers(lab: () => Lab): void {
  const trusted = issuer('testing@secure.example');
  const stranger = issuer('testing@secure.example');
  const subject = 'testing@secure.example';
  const token = trusted.token({ sub: subject, foo: 'bar' });
  const withGroups = trusted.token({ sub: subject, groups: ['group1', 'group2'], scope: 'scope1 scope2' });

  const requestAuthentication = (name: string, labels: string, more = '') => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata:
  name: ${name}
spec:
  selector:
    matchLabels:
      ${labels}
  jwtRules:
    - issuer: ${trusted.name}
      jwks: '${trusted.jwks}'
${more}`;
  const here = (path: string, ...args: readonly string[]) =>
    lab().statusHere(...args, `http://${lab().ingress}${path}`);

  test('end-user authentication at the ingress gateway: wrong tokens are refused, none is not', async () => {
    proves(
      'RequestAuthentication.spec.selector.matchLabels',
      'RequestAuthentication.spec.jwtRules[].issuer',
      'RequestAuthentication.spec.jwtRules[].jwks',
    );
    await lab().apply(everyHostToHttpbin());
    await becomes('the gateway', '200', () => here('/headers'));
    await lab().apply(requestAuthentication('ingress-jwt', 'istio: ingressgateway'), 'istio-system');
    await becomes('a wrong token refused', '401', () => here('/headers', ...bearer('deadbeef')));
    await becomes('an answer', '200', () => here('/headers'));
    await becomes('an answer', '200', () => here('/headers', ...bearer(token)));
    await becomes('of another key', '401', () => here('/headers', ...bearer(stranger.token({ sub: subject }))));
    await becomes('expired', '401', () => here('/headers', ...bearer(trusted.token({ sub: subject, exp: 1 }))));
    await becomes('the token refused', '401', () =>
      here('/headers', ...bearer(issuer('other@example').token({ sub: 'x' }))),
    );
    await becomes('an answer', '200', () => here(`/headers?access_token=${token}`));
  });

  test('end-user authentication: a token is demanded, then for one path only', async () => {
    proves(
      'AuthorizationPolicy.spec.selector.matchLabels',
      'AuthorizationPolicy.spec.action',
      'AuthorizationPolicy.spec.rules[].from[].source.notRequestPrincipals',
      'AuthorizationPolicy.spec.rules[].to[].operation.paths',
    );
    const policy = (to: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: frontend-ingress
spec:
  selector:
    matchLabels:
      istio: ingressgateway
  action: DENY
  rules:
    - from:
        - source:
            notRequestPrincipals: ["*"]
${to}`;
    await lab().apply(policy(''), 'istio-system');
    await becomes('no token, no answer', '403', () => here('/headers'));
    await becomes('an answer', '200', () => here('/headers', ...bearer(token)));
    await lab().apply(policy('      to:\n        - operation:\n            paths: ["/headers"]'), 'istio-system');
    await becomes('other paths', '200', () => here('/ip'));
    await becomes('a refusal', '403', () => here('/headers'));
    await becomes('an answer', '200', () => here('/headers', ...bearer(token)));
    // The path is what the proxy makes of it, however it is written.
    for (const path of ['/./headers', '/ip/../headers', '/%68eaders'])
      await becomes(path, '403', () => here(path, '--path-as-is'));
    await lab().remove('istio-system', 'authorizationpolicy/frontend-ingress', 'requestauthentication/ingress-jwt');
  });

  test('authorization with JWT: a valid token is demanded of the mesh’s clients, then one with a group', async () => {
    proves(
      'RequestAuthentication.spec.jwtRules[].issuer',
      'AuthorizationPolicy.spec.rules[].from[].source.requestPrincipals',
      'AuthorizationPolicy.spec.rules[].when[].key',
      'AuthorizationPolicy.spec.rules[].when[].values',
    );
    const status = (...args: readonly string[]) => lab().status('bar', ...args, url('/headers'));
    await lab().apply(requestAuthentication('jwt-example', 'app: httpbin'));
    await becomes('a wrong token refused', '401', () => status(...bearer('invalidToken')));
    await becomes('an answer', '200', () => status());
    const policy = (when: string) => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: require-jwt
spec:
  selector:
    matchLabels:
      app: httpbin
  action: ALLOW
  rules:
    - from:
        - source:
            requestPrincipals: ["${trusted.name}/${subject}"]
${when}`;
    await lab().apply(policy(''));
    await becomes('no token, no answer', '403', () => status());
    await becomes('an answer', '200', () => status(...bearer(token)));
    await becomes('a refusal', '403', () => status(...bearer(trusted.token({ sub: 'somebody-else' }))));
    await lab().apply(policy('      when:\n        - key: request.auth.claims[groups]\n          values: ["group1"]'));
    await becomes('no group, no answer', '403', () => status(...bearer(token)));
    await becomes('an answer', '200', () => status(...bearer(withGroups)));
    await lab().remove('foo', 'authorizationpolicy/require-jwt', 'requestauthentication/jwt-example');
    await becomes('everybody', '200', () => status());
  });

  test('JWT claims are copied to headers', async () => {
    proves(
      'RequestAuthentication.spec.jwtRules[].outputClaimToHeaders[].header',
      'RequestAuthentication.spec.jwtRules[].outputClaimToHeaders[].claim',
    );
    await lab().apply(
      requestAuthentication(
        'jwt-example',
        'app: httpbin',
        '      outputClaimToHeaders:\n        - header: x-jwt-claim-foo\n          claim: foo\n',
      ),
    );
    const header = async (...args: readonly string[]) => {
      const text = await lab().curl('bar', url('/headers'), ...args);
      return (JSON.parse(text) as { readonly headers: Record<string, string> }).headers['X-Jwt-Claim-Foo'];
    };
    await becomes('the claim', 'bar', async () => header(...bearer(token)));
    await becomes('only from the token', 'bar', () => header(...bearer(token), '-H', 'x-jwt-claim-foo: forged'));
    await becomes('and not without one', undefined, () => header('-H', 'x-jwt-claim-foo: forged'));
    await lab().remove('foo', 'requestauthentication/jwt-example');
  });

  test('routes at the gateway by claims', async () => {
    proves('VirtualService.spec.http[].match[].headers', 'RequestAuthentication.spec.jwtRules[].jwks');
    await lab().apply(requestAuthentication('ingress-jwt', 'istio: ingressgateway'), 'istio-system');
    await lab().apply(
      routesOfEveryHost(`
  - match:
    - uri: {prefix: /headers}
      headers: {"@request.auth.claims.groups": {exact: group1}}
    route: [{destination: {host: httpbin, port: {number: 8000}}}]`),
    );
    await becomes('no token, no route', '404', () => here('/headers'));
    await becomes('the token refused', '401', () => here('/headers', ...bearer('some.invalid.token')));
    await becomes('without the group', '404', () => here('/headers', ...bearer(token)));
    await becomes('an answer', '200', () => here('/headers', ...bearer(withGroups)));
    await lab().remove('istio-system', 'requestauthentication/ingress-jwt');
    await lab().remove('foo', ...everyHost);
  });
}
