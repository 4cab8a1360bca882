import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readEnvoyLock } from './sources/envoy-lock.ts';
import { main } from './main.ts';

/** Runs a command up to where the programs would be bundled; gives the exit code and what it told. */
async function run(context: TestContext, argv: readonly string[], config: unknown = {}) {
  const home = mkdtempSync(join(tmpdir(), 'images-main-'));
  context.after(() => rmSync(home, { recursive: true }));
  writeFileSync(join(home, 'config.json'), JSON.stringify(config));
  const told: string[] = [];
  const status = await main(argv, {
    root: home,
    home,
    env: { DOCKER_CONFIG: home, PATH: '/usr/bin:/bin' },
    envoyVersion: readEnvoyLock().version,
    seconds: 0,
    revision: '',
    modified: false,
    build: () => Promise.reject(new Error('nothing is bundled here')),
    out: () => undefined,
    progress: (line) => told.push(line),
  });
  return { status, told: told.join('\n') };
}

for (const hub of ['[::1]:5000/mesh', 'localhost:5000', 'registry.test/team/mesh/'])
  test(`push takes ${hub} for a registry`, async (context) => {
    const { told } = await run(context, ['push', hub, 'pilot']);
    assert.match(told, /building the programs\nError: nothing is bundled here/);
  });

test('push says what is wrong with its registry in the words of its own arguments', async (context) => {
  for (const hub of ['team/mesh', 'Registry.test/mesh', '[::1/mesh', './mesh']) {
    const { status, told } = await run(context, ['push', hub]);
    assert.equal(status, 2);
    assert.match(told, /^Error: push needs the registry, which .* is not/, hub);
  }
  const { status, told } = await run(context, ['push', 'registry.test/mesh', '--hub', 'other.test/mesh']);
  assert.equal(status, 2);
  assert.match(told, /push takes the registry as its first argument, not as --hub other\.test\/mesh/);
  assert.match(
    (await run(context, ['push', 'registry.test:99999/mesh'])).told,
    /^Error: .*is not the host of a registry/,
  );
});

test('a login that cannot be had stops a push before anything is built', async (context) => {
  const { status, told } = await run(context, ['push', 'registry.test/mesh'], { credsStore: 'absent' });
  assert.equal(status, 1);
  assert.match(told, /^Error: docker-credential-absent, which keeps the login for registry\.test, is not in PATH$/);
});
