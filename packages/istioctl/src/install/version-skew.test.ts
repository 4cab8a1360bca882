import assert from 'node:assert/strict';
import { test } from 'node:test';
import { obstacleToUpgrade } from './version-skew.ts';

test('the next minor version, a later patch and the same version may follow in place', () => {
  for (const from of ['1.29.4', '1.30.0', '1.30.0-distroless', '1.29-alpha.0'])
    assert.equal(obstacleToUpgrade(from, '1.30.0'), undefined, from);
});

test('older versions, skipped ones and what is no version may not', () => {
  assert.match(obstacleToUpgrade('1.31.0', '1.30.0') ?? '', /1\.30\.0 is older than the installed 1\.31\.0/);
  assert.match(obstacleToUpgrade('1.30.1', '1.30.0') ?? '', /older/);
  assert.match(obstacleToUpgrade('1.27.2', '1.30.0') ?? '', /skips 2 minor versions. Upgrade to 1\.28 first/);
  assert.match(obstacleToUpgrade('0.8.0', '1.30.0') ?? '', /different major versions/);
  assert.match(obstacleToUpgrade('latest', '1.30.0') ?? '', /"latest"/);
});
