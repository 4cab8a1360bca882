import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { alpnFilters } from '../filter/alpn.ts';
import { meshAlpn, requestAlpn } from './alpn.ts';

describe('what is offered between sidecars', () => {
  it('is HTTP for declared HTTP, and bytes for everything else', () => {
    assert.deepEqual(meshAlpn('HTTP', 'http1'), ['istio-http/1.1', 'istio', 'http/1.1']);
    assert.deepEqual(meshAlpn('GRPC', 'http2'), ['istio-h2', 'istio', 'h2']);
    assert.deepEqual(meshAlpn('TCP', 'none'), ['istio']);
    assert.equal(requestAlpn('HTTP', 'http1'), undefined);
    assert.equal(requestAlpn('TCP', 'none'), undefined);
  });

  it('is chosen by request for a sniffed port: as the client speaks from a sidecar, HTTP/1.1 from a gateway', () => {
    assert.deepEqual(meshAlpn('Auto', 'downstream'), ['istio']);
    assert.equal(requestAlpn('Auto', 'downstream'), 'downstream');
    assert.equal(requestAlpn('Auto', 'http1'), 'http1');
    assert.deepEqual(meshAlpn('Auto', 'http2'), ['istio']);
    assert.equal(requestAlpn('Auto', 'http2'), 'http2');
  });

  it('is not touched where the cluster has no choice: what an expression fails with is never offered', () => {
    assert.match(JSON.stringify(alpnFilters({})), /"omitEmptyValues":true/);
    assert.match(JSON.stringify(alpnFilters({})), /"skipIfEmpty":true/);
  });
});
