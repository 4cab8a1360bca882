import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLoggers, parseLogLevels } from './log.ts';
import { SettingsError } from './settings.ts';

test('levels by scope', () => {
  const lines: string[] = [];
  const logger = createLoggers({
    levels: parseLogLevels('default:warn,ads:debug'),
    json: false,
    now: () => new Date(0),
    write: (line) => void lines.push(line),
  });
  logger('ads').debug('seen');
  logger('ca').info('not seen');
  logger('ca').warn('seen too');
  assert.deepEqual(lines, [
    '1970-01-01T00:00:00.000Z\tdebug\tads\tseen\n',
    '1970-01-01T00:00:00.000Z\twarn\tca\tseen too\n',
  ]);
});

test('a message from outside cannot look like a line of its own', () => {
  const lines: string[] = [];
  const logger = createLoggers({
    levels: parseLogLevels(''),
    json: false,
    now: () => new Date(0),
    write: (line) => void lines.push(line),
  });
  logger('ads').warn('rejected: x\n1970-01-01T00:00:00.000Z\tinfo\tca\tsigned\u001b[2J');
  const [, second] = (lines[0] ?? '').split('\n');
  assert.ok(second?.startsWith('\t'));
  assert.ok(!lines[0]?.includes('\u001b'));
});

test('levels that there are not', () => {
  for (const text of ['loud', 'ads:toString', ':debug']) assert.throws(() => parseLogLevels(text), SettingsError, text);
});
