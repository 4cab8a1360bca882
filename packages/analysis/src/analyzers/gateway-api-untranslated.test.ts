import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { gatewayApiUntranslated } from './gateway-api-untranslated.ts';

const gateway = (name: string, className: string) =>
  `apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: ${name}, namespace: shop}\nspec: {gatewayClassName: ${className}, listeners: []}\n---\n`;
const route = (kind: string, name: string, parents: string) =>
  `apiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: shop}\nspec: {parentRefs: ${parents}}\n---\n`;

test('what is meant for istiod is named, and nothing of others', () => {
  const yaml = [
    gateway('ours', 'istio'),
    gateway('waypoint', 'istio-waypoint'),
    gateway('theirs', 'cilium'),
    route('HTTPRoute', 'behind-ours', '[{name: theirs}, {name: ours}]'),
    route('HTTPRoute', 'behind-theirs', '[{name: theirs}]'),
    route('HTTPRoute', 'elsewhere', '[{name: ours, namespace: other}]'),
    route('GRPCRoute', 'of-the-mesh', '[{kind: Service, group: "", name: cart}]'),
    route('HTTPRoute', 'of-nothing', 'nonsense'),
  ].join('');
  assert.deepEqual([...findings(gatewayApiUntranslated, yaml)].sort(), [
    'IST0133 GRPCRoute shop/of-the-mesh spec.parentRefs[0]',
    'IST0133 Gateway shop/ours spec.gatewayClassName',
    'IST0133 Gateway shop/waypoint spec.gatewayClassName',
    'IST0133 HTTPRoute shop/behind-ours spec.parentRefs[1]',
  ]);
});
