// What the pages compute before they draw: queries of the graph, its layout, differences, traces, dashboards.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { applyRegex, interpolate, readVariableQuery } from '../web/dashboards/interpolate.ts';
import { readDashboard } from '../web/dashboards/model.ts';
import { diffLines, hunks } from '../web/editor/diff.ts';
import { boutiqueGraph, largeGraph } from '../web/fixtures/boutique.ts';
import { initialConfig } from '../web/fixtures/config.ts';
import { meshDashboard } from '../web/fixtures/dashboard.ts';
import { traceOf } from '../web/fixtures/telemetry.ts';
import { neighbour } from '../web/graph/camera.ts';
import { layoutGraph } from '../web/graph/layout.ts';
import { encryptionOf } from '../web/graph/mutual-tls.ts';
import { find, hide, parseQuery, QueryError } from '../web/graph/query.ts';
import { totalsOf } from '../web/graph/totals.ts';
import { filterLines, matcher } from '../web/logs/filter.ts';
import { sorted, toggled } from '../web/parts/sort.ts';
import { compareTraces } from '../web/traces/compare.ts';
import { timeByService, unfolded, waterfall } from '../web/traces/tree.ts';

const graph = boutiqueGraph('versionedApp', 1_000_000, 60, initialConfig);
const inputOf = ({ nodes, edges }: typeof graph) => ({
  nodes: nodes.map(({ id, group }) => ({ id, ...(group === undefined ? {} : { group }) })),
  edges,
});

test('mutual TLS that nobody reports is unknown, not absent, and has no part in the share of the whole graph', () => {
  assert.deepEqual(
    [undefined, 0, 0.5, 1].map((share) => encryptionOf(share === undefined ? {} : { mutualTls: share })),
    ['unknown', 'none', 'part', 'all'],
  );
  const [first, second] = graph.edges.filter(
    ({ traffic, protocol }) => protocol !== 'tcp' && traffic.requestsPerSecond,
  );
  assert.ok(first && second);
  const { mutualTls: _, ...silent } = first;
  assert.equal(totalsOf({ ...graph, edges: [silent, { ...second, mutualTls: 1 }] }).locked, 1);
  assert.equal(totalsOf({ ...graph, edges: [silent] }).locked, undefined);
});

test('a call by way of a service counts once in the figures of the whole graph', () => {
  const [edge] = graph.edges.filter(({ traffic, protocol }) => protocol !== 'tcp' && traffic.requestsPerSecond > 0);
  const [node] = graph.nodes;
  assert.ok(edge && node);
  const service = { ...node, id: 'between', kind: 'service' as const };
  const there = { ...edge, target: service.id };
  const on = { ...edge, id: 'on', source: service.id };
  const { requests } = totalsOf({ ...graph, nodes: [...graph.nodes, service], edges: [there, on] });
  assert.equal(requests, edge.traffic.requestsPerSecond);
});

test('queries compare fields of nodes and edges, joined by and, or, not', () => {
  const names = (query: string) => [...(find(graph, query)?.nodes ?? [])];
  assert.deepEqual(names('errors >= 10'), ['paymentservice v1', 'paymentservice v2']);
  assert.deepEqual(names('name ~ cart and not badge = dead'), ['cartservice v1', 'redis-cart v1']);
  assert.deepEqual(names('kind = gateway or kind = unknown'), ['gateway', 'unknown']);
  assert.deepEqual(names('missing-sidecar'), ['adservice v1']);
  assert.deepEqual([...(find(graph, 'protocol = tcp')?.edges ?? [])], ['cartservice v1 > redis-cart v1']);
  assert.equal(parseQuery('  '), undefined);
  for (const wrong of ['colour = red', 'rps >', '(a', 'a)', '= 3']) assert.throws(() => parseQuery(wrong), QueryError);
});

test('what is hidden takes its edges along', () => {
  const left = hide(graph, find(graph, 'name = frontend'));
  assert.equal(left.nodes.length, graph.nodes.length - 1);
  assert.ok(left.edges.every(({ source, target }) => source !== 'frontend v1' && target !== 'frontend v1'));
});

test('cards do not overlap, calls lead to the right, versions stand in the box of their application', () => {
  const layout = layoutGraph(inputOf(graph));
  const places = Object.values(layout.nodes);
  assert.equal(places.length, graph.nodes.length);
  for (const [index, a] of places.entries())
    for (const b of places.slice(index + 1)) assert.ok(Math.abs(a.x - b.x) >= 178 || Math.abs(a.y - b.y) >= 50);
  const { x } = layout.nodes['frontend v1'] ?? { x: 0 };
  assert.ok((layout.nodes['checkoutservice v1']?.x ?? 0) > x);
  assert.equal(neighbour(layout, 'gateway', 'right', new Set(['frontend v1'])), 'frontend v1');
  const box = layout.groups['app paymentservice'];
  const version = layout.nodes['paymentservice v2'];
  assert.ok(box && version && version.x > box.x && version.x < box.x + box.width && version.y < box.y + box.height);
});

test('layers of hundreds of nodes are folded until the whole has the shape of a screen', () => {
  const { width, height, nodes } = layoutGraph(inputOf(largeGraph(300, 0)));
  assert.equal(Object.keys(nodes).length, 300);
  assert.ok(width / height > 1 && width / height < 3, `${width} by ${height}`);
});

test('differences are the fewest lines, with what is around them', () => {
  const lines = diffLines('a\nb\nc\nd\ne\nf\ng\nh\n', 'a\nb\nX\nd\ne\nf\ng\nh\n');
  assert.deepEqual(
    lines.filter(({ kind }) => kind !== 'same').map(({ kind, text }) => [kind, text]),
    [
      ['removed', 'c'],
      ['added', 'X'],
    ],
  );
  assert.equal(hunks(lines, 1).length, 6, 'a gap, b, −c, +X, d, a gap');
});

test('own time of spans leaves out what they waited for; folded spans hide what they called', () => {
  const rows = waterfall(traceOf(2, 1_000_000));
  const total = timeByService(rows).reduce((sum, { time }) => sum + time, 0);
  assert.ok(
    Math.abs(total - (rows[0]?.span.duration ?? 0)) < 1,
    'calls one after the other: own times add up to the whole',
  );
  assert.ok(rows[0]?.critical);
  assert.equal(unfolded(rows, new Set([rows[0]?.span.id ?? ''])).length, 1);
});

test('a trace compared with itself has no differences; missing calls are one-sided', () => {
  const trace = traceOf(1, 1_000_000);
  assert.ok(compareTraces(trace, trace).every(({ first, second }) => first?.duration === second?.duration));
  const without = { all: trace.all.filter(({ service }) => !service.startsWith('adservice')) };
  const only = compareTraces(trace, without).filter(({ second }) => !second);
  assert.deepEqual(
    only.map(({ service }) => service.split('.')[0]),
    ['adservice'],
  );
});

test('dashboards: variables become parts of queries as Grafana writes them', () => {
  const { variables, panels, duration } = readDashboard(meshDashboard);
  assert.equal(duration, 1800);
  assert.deepEqual(panels.map(({ type }) => type).slice(0, 5), ['stat', 'stat', 'stat', 'gauge', 'timeseries']);
  const options = new Map([['service', ['a.b', 'c']]]);
  const window = { from: 0, to: 1_800_000, step: 30 };
  const ask = (text: string, chosen: readonly string[]) =>
    interpolate(text, variables, new Map([['service', chosen]]), options, window);
  assert.equal(ask('x{s=~"$service"}[$__rate_interval]', ['$__all']), 'x{s=~"(a\\\\.b|c)"}[60s]');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: this is how dashboards write variables
  assert.equal(ask('x{s=~"${service}"} $__range [[service]] $other', ['c']), 'x{s=~"c"} 1800s c $other');
  assert.deepEqual(readVariableQuery('label_values(up{job=~"a,b"}, instance)'), {
    kind: 'labelValues',
    metric: 'up{job=~"a,b"}',
    label: 'instance',
  });
  assert.deepEqual(applyRegex(['a-1', 'b-2'], '/a-(.*)/'), ['1']);
});

test('log lines are filtered by text, expression, container and answer', () => {
  const line = (text: string, container: string, status?: number) => ({
    text,
    container,
    ...(status === undefined
      ? {}
      : { request: { method: 'GET', path: '/', status, flags: '-', durationMs: 1, upstream: '', authority: '' } }),
  });
  const lines = [line('GET /', 'istio-proxy', 503), line('GET /', 'istio-proxy', 200), line('Hello', 'server')];
  const all = { contains: '', without: '', statuses: new Set<string>(), containers: new Set<string>() };
  assert.equal(filterLines(lines, { ...all, statuses: new Set(['5']) }).length, 1);
  assert.equal(filterLines(lines, { ...all, contains: '/^h.llo$/' }).length, 1);
  assert.equal(filterLines(lines, { ...all, without: 'get' }).length, 1);
  assert.equal(matcher('/(/').bad, true);
});

test('columns are sorted with numbers in names by their value; the third press ends the order', () => {
  assert.deepEqual(
    sorted(['pod-10', 'pod-9'], (name) => name, false),
    ['pod-9', 'pod-10'],
  );
  assert.equal(toggled('', 'rps', true), '-rps');
  assert.equal(toggled('-rps', 'rps', true), 'rps');
  assert.equal(toggled('rps', 'rps', true), '');
});
