import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FoldedMetrics } from './folded-metrics.ts';

test('bytes of open connections are part of the counters, whose labels know no connection', () => {
  const open = new FoldedMetrics();
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

test('messages of gRPC are streams times their messages', () => {
  const folded = new FoldedMetrics();
  const text = [
    'istio_request_messages_total{reporter="source",source_app="a",messages="1,1"} 10',
    'istio_request_messages_total{reporter="source",source_app="a",messages="3,6"} 2',
    'istio_response_messages_total{reporter="source",source_app="a",messages="3,6"} 2',
    'istio_response_messages_total{reporter="source",source_app="b",messages="unknown"} 2',
    '',
  ];
  assert.equal(
    folded.take(text.join('\n')) + folded.end(),
    [
      '# TYPE istio_request_messages_total counter',
      'istio_request_messages_total{reporter="source",source_app="a"} 16',
      '# TYPE istio_response_messages_total counter',
      'istio_response_messages_total{reporter="source",source_app="a"} 12',
      'istio_response_messages_total{reporter="source",source_app="b"} 0',
      '',
    ].join('\n'),
  );
});
