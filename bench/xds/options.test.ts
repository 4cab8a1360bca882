import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OptionsError, readOptions } from './options.ts';

test('flags choose sizes, clients and the API server', () => {
  const { sizes, clients, apiServer, xdsload } = readOptions([
    ...['--sizes', '10x5,20x5', '--whole', '--xdsload', 'yes', '--api-server', 'real'],
  ]);
  assert.deepEqual(sizes[1], { services: 20, proxies: 5 });
  assert.deepEqual(clients, ['hosts', 'whole', 'xdsload']);
  assert.deepEqual(apiServer, { kind: 'real' });
  assert.equal(xdsload, undefined);
  assert.deepEqual(readOptions(['--kubeconfig', 'f', '--clients', 'xdsload-sotw', '--xdsload', './mine']), {
    ...readOptions([]),
    apiServer: { kind: 'running', kubeconfig: 'f' },
    clients: ['xdsload-sotw'],
    xdsload: './mine',
  });
});

test('flags that cannot be used are named', () => {
  for (const [words, message] of [
    [['--sizes', '10'], /--sizes: '10' has not the form SERVICESxPROXIES/],
    [['--clients', 'envoy'], /--clients: 'envoy' is none of hosts, whole, xdsload, xdsload-sotw/],
    [['--reps', '0'], /--reps: '0' is no number from 1 upwards/],
    [['--api-server', 'mine'], /--api-server: 'mine' is neither local nor real/],
    [['--nonsense'], /--nonsense.*\n.*--help lists the flags/],
    [['--help'], /^Many simulated sidecars/],
  ] as const)
    assert.throws(
      () => readOptions(words),
      (error: Error) => error instanceof OptionsError && message.test(error.message),
    );
});
