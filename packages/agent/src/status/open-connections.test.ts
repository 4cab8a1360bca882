import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OpenConnections } from './open-connections.ts';

test('bytes of open connections are part of the counters, whose labels know no connection', () => {
  const open = new OpenConnections();
  const rest = [
    '# TYPE istio_requests_total counter',
    'istio_requests_total{reporter="source"} 1',
    '# TYPE istio_tcp_sent_bytes_total counter',
    'istio_tcp_sent_bytes_total{reporter="source",source_app="a"} 100',
    '# TYPE istio_tcp_sent_bytes_total_open gauge',
    'istio_tcp_sent_bytes_total_open{reporter="source",source_app="a",connection="7"} 5',
    'istio_tcp_sent_bytes_total_open{reporter="source",source_app="a",connection="8"} 6',
    '',
  ];
  const last = [
    'istio_tcp_sent_bytes_total_open{reporter="source",source_app="b",connection="9"} 1',
    '# TYPE istio_tcp_connections_opened_total counter',
    'istio_tcp_connections_opened_total{reporter="source"} 3',
    '',
  ];
  assert.equal(
    open.take(rest.join('\n')) + open.take(last.join('\n')) + open.end(),
    [
      '# TYPE istio_requests_total counter',
      'istio_requests_total{reporter="source"} 1',
      '# TYPE istio_tcp_connections_opened_total counter',
      'istio_tcp_connections_opened_total{reporter="source"} 3',
      '# TYPE istio_tcp_sent_bytes_total counter',
      'istio_tcp_sent_bytes_total{reporter="source",source_app="a"} 111',
      'istio_tcp_sent_bytes_total{reporter="source",source_app="b"} 1',
      '',
    ].join('\n'),
  );
});
