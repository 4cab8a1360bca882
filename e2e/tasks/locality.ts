import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually } from '../support/shell.ts';
import { type Mesh, settled, tally } from './mesh.ts';

const place = (answer: string) => /version: (\S+),/.exec(answer)?.[1] ?? answer;

/** Locality load balancing: the client is in region1, zone1; helloworld there, in zone2 of the region, and in region2. */
export function locality(mesh: () => Mesh): void {
  const call = () => mesh().curl('http://helloworld:5000/hello');
  const isIn = (where: string) => (answer: string) => place(answer) === where;
  const leave = (deployment: string) =>
    mesh().cluster.kubectl('scale', `deploy/helloworld-${deployment}`, '--replicas=0');

  test('locality failover: the same zone, then the region, then the region that is named', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.enabled',
      'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.failover[].from',
      'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.failover[].to',
    );
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: helloworld
spec:
  host: helloworld
  trafficPolicy:
    connectionPool:
      http: {maxRequestsPerConnection: 1}
    loadBalancer:
      simple: ROUND_ROBIN
      localityLbSetting:
        enabled: true
        failover:
          - {from: region1, to: region2}
    outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 1m}
`);
    await settled('the zone of the client', call, isIn('region1.zone1'));
    await leave('region1-zone1');
    await settled('the other zone of the region', call, isIn('region1.zone2'));
    await leave('region1-zone2');
    await settled('the other region', call, isIn('region2.zone3'));
    await mesh().cluster.kubectl(
      ...['scale', 'deploy/helloworld-region1-zone1', 'deploy/helloworld-region1-zone2', '--replicas=1'],
    );
    await settled('the zone of the client again', call, isIn('region1.zone1'));
  });

  test('locality weighted distribution: shares of places', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[].from',
      'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[].to',
    );
    await mesh().cluster.podsReady('default', 'app=helloworld');
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: helloworld
spec:
  host: helloworld
  trafficPolicy:
    loadBalancer:
      localityLbSetting:
        enabled: true
        distribute:
          - from: region1/zone1/*
            to: {"region1/zone1/*": 70, "region2/zone3/*": 30}
    outlierDetection: {consecutive5xxErrors: 100, interval: 1s, baseEjectionTime: 1m}
`);
    await eventually('both places', async () => {
      const seen = await tally(30, call, place);
      assert.deepEqual([...seen.keys()].sort(), ['region1.zone1', 'region2.zone3']);
    });
    await mesh().remove('destinationrule/helloworld');
  });
}
