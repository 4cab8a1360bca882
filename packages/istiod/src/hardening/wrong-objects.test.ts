import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { istioTypes } from '@istio-ts/api/resource-types';
import type { KubeObject } from '@istio-ts/kube';
import { istioObject, serviceObject } from '@istio-ts/xds/testing/objects';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { type RunningIstiod, startIstiod } from './istiod.test-support.ts';

/** What is said of objects that no webhook has looked at: in their status and in istiod's log. */

const deny = (source: object): KubeObject =>
  istioObject(
    'AuthorizationPolicy',
    { name: 'closed', namespace: 'shop' },
    { action: 'DENY', rules: [{ from: [{ source }] }] },
  );
const route = [{ route: [{ destination: { host: 'own' } }] }];
const thief = (hosts: readonly string[]): KubeObject =>
  istioObject('VirtualService', { name: 'thief', namespace: 'thief' }, { hosts, http: route });
const CART = 'cart.shop.svc.cluster.local';

describe('objects that are wrong, or are about what is not theirs', () => {
  let istiod: RunningIstiod;
  before(async () => {
    istiod = await startIstiod({
      objects: [
        serviceObject({ name: 'cart', namespace: 'shop' }, [{ name: 'http', port: 80 }]),
        deny({ ipBlocks: ['nowhere'] }),
        istioObject(
          'PeerAuthentication',
          { name: 'closed', namespace: 'shop' },
          { selector: { matchLabels: { app: 'a' } }, portLevelMtls: { http: { mode: 'STRICT' } } },
        ),
        thief([CART]),
        istioObject(
          'ServiceEntry',
          { name: 'thief', namespace: 'thief' },
          { hosts: [CART], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'DNS' },
        ),
      ],
    });
  });
  after(() => istiod?.close());

  type Kind = 'AuthorizationPolicy' | 'PeerAuthentication' | 'VirtualService' | 'ServiceEntry';
  const condition = async (kind: Kind, name: string, namespace: string, type: string) => {
    const object = await istiod.client.get(istioTypes[kind], name, namespace);
    const { conditions = [] } = (object.status ?? {}) as {
      readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[];
    };
    return conditions.find((one) => one.type === type);
  };
  const becomes = async (of: Parameters<typeof condition>, status: string, text: RegExp): Promise<void> => {
    await eventually(`${of.join(' ')} to be ${status}`, async () => {
      const found = await condition(...of);
      return found?.status === status && text.test(`${found.reason} ${found.message}`);
    });
  };

  it('policies that were never right: what is wrong, and what is in force instead', async () => {
    const policy = ['AuthorizationPolicy', 'closed', 'shop', 'Accepted'] as const;
    await becomes(
      [...policy],
      'False',
      /^PartlyInvalid in force, .*ipBlocks\[0\]: .*the policy denies all that the rest of it covers$/,
    );
    const log = () => istiod.output();
    await eventually('the log', () =>
      /AuthorizationPolicy shop\/closed is in force, but .*denies all that the rest/.test(log()),
    );
    await becomes(['PeerAuthentication', 'closed', 'shop', 'Accepted'], 'False', /portLevelMtls\.http: .*STRICT holds/);
    await istiod.client.patch(istioTypes.AuthorizationPolicy, 'closed', 'shop', 'merge', {
      spec: deny({ ipBlocks: ['10.0.0.1'] }).spec,
    });
    await becomes([...policy], 'True', /^Valid /);
    await istiod.client.patch(istioTypes.AuthorizationPolicy, 'closed', 'shop', 'merge', {
      spec: deny({ ipBlocks: ['nowhere'] }).spec,
    });
    await becomes([...policy], 'False', /^Invalid ignored; the last valid configuration stays in force/);
  });

  it('hosts of other namespaces: a warning, which goes when they are claimed no longer', async () => {
    const routes = ['VirtualService', 'thief', 'thief', 'ForeignHosts'] as const;
    await becomes(
      [...routes],
      'True',
      /^Claimed spec\.hosts\[0\]: cart\.shop\.svc\.cluster\.local is a service of namespace shop/,
    );
    await becomes(['ServiceEntry', 'thief', 'thief', 'ForeignHosts'], 'True', /is a Service of namespace shop/);
    assert.match(istiod.output(), /VirtualService thief\/thief: spec\.hosts\[0\]: cart\.shop/);
    assert.equal((await condition('VirtualService', 'thief', 'thief', 'Accepted'))?.status, undefined);
    await istiod.client.patch(istioTypes.VirtualService, 'thief', 'thief', 'merge', { spec: thief(['own']).spec });
    await becomes([...routes], 'False', /^OwnHosts /);
  });
});
