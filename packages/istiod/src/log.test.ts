import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLoggers } from './log.ts';
import { LogScopes, parseLogLevels } from './log-scopes.ts';
import { SettingsError } from './setting-values.ts';

function started(levels: string, { stacks = '', callers = [] as string[], json = false } = {}) {
  const lines: string[] = [];
  const scopes = new LogScopes({
    outputLevels: parseLogLevels(levels),
    stackTraceLevels: parseLogLevels(stacks, 'log_stacktrace_level', 'none'),
    callers: new Set(callers),
  });
  const logger = createLoggers({ scopes, json, now: () => new Date(0), write: (line) => void lines.push(line) });
  return { lines, scopes, logger };
}

test('levels by scope', () => {
  const { lines, logger } = started('default:warn,ads:debug');
  logger('ads', '').debug('seen');
  logger('ca', '').info('not seen');
  logger('ca', '').warn('seen too');
  assert.deepEqual(lines, [
    '1970-01-01T00:00:00.000Z\tdebug\tads\tseen\n',
    '1970-01-01T00:00:00.000Z\twarn\tca\tseen too\n',
  ]);
});

test('a level that is changed holds from the next line on', () => {
  const { lines, logger, scopes } = started('');
  const ads = logger('ads', 'Proxies and what is sent to them');
  ads.debug('before');
  scopes.change('ads', { outputLevel: 'debug' });
  ads.debug('between');
  scopes.change('ads', { outputLevel: 'none' });
  ads.error('after');
  assert.deepEqual(
    lines.map((line) => line.trim().split('\t').at(-1)),
    ['between'],
  );
  assert.equal(scopes.change('nothing', { outputLevel: 'debug' }), undefined);
  assert.deepEqual(scopes.get('ads'), {
    name: 'ads',
    description: 'Proxies and what is sent to them',
    outputLevel: 'none',
    stackTraceLevel: 'none',
    logCallers: false,
  });
});

test('lines carry their place in the code and the call stack where that is asked for', () => {
  const { lines, logger } = started('', { stacks: 'default:none,ads:warn', callers: ['ca'] });
  logger('ads', '').info('plain');
  logger('ads', '').warn('deep');
  logger('ca', '').info('placed');
  assert.equal(lines[0], '1970-01-01T00:00:00.000Z\tinfo\tads\tplain\n');
  assert.match(lines[1] ?? '', /\tads\tdeep\n +at .*log\.test\.ts:\d+/);
  assert.match(lines[2] ?? '', /\tca\tlog\.test\.ts:\d+\tplaced\n$/);
});

test('a message from outside cannot look like a line of its own', () => {
  const { lines, logger } = started('');
  logger('ads', '').warn('rejected: x\n1970-01-01T00:00:00.000Z\tinfo\tca\tsigned\u001b[2J');
  const [, second] = (lines[0] ?? '').split('\n');
  assert.ok(second?.startsWith('\t'));
  assert.ok(!lines[0]?.includes('\u001b'));
});

test('levels that there are not', () => {
  for (const text of ['loud', 'ads:toString', ':debug']) assert.throws(() => parseLogLevels(text), SettingsError, text);
});
