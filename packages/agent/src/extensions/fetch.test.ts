import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { hostileUrls } from '@istio-ts/security/fetch/hostile-urls.test-support';
import { askForModules } from './fetch.ts';
import { ModuleError } from './module-bytes.ts';
import { download } from './registry.ts';

let server: Server;
let host = '';
let other: Server;
let otherHost = '';
const asked: string[] = [];
const listening = async (one: Server): Promise<string> => {
  await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
  return `127.0.0.1:${(one.address() as AddressInfo).port}`;
};

before(async () => {
  other = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization ?? ''}`.trim());
    response.end('secret');
  });
  otherHost = await listening(other);
  server = createServer((request, response) => {
    const to = new URL(request.url ?? '', 'http://server').searchParams.get('to');
    if (to !== null) response.writeHead(302, { location: to }).end();
    else response.end('module');
  });
  host = await listening(server);
});
after(() => {
  for (const one of [server, other]) {
    one.closeAllConnections();
    one.close();
  }
});

const asking = (trusted: readonly string[], environment = {}) =>
  askForModules((one) => trusted.includes(one), environment);
const text = async (url: string, trusted: readonly string[] = [host]): Promise<string> =>
  (await (await asking(trusted)(url, { authorization: 'Bearer x' })).body(100)).toString();

test('the own machine, its link and its cloud are not asked for modules, unless the host is trusted', async () => {
  assert.equal(await text(`http://${host}/`), 'module');
  const port = Number(otherHost.split(':')[1]);
  for (const url of hostileUrls(port)) {
    await assert.rejects(
      download(url, '', asking([host])),
      /nothing is fetched from this address \(WASM_INSECURE/,
      url,
    );
    const led = `http://${host}/?to=${encodeURIComponent(url)}`;
    await assert.rejects(text(led), /nothing is fetched from this address/, led);
  }
  assert.deepEqual(asked, []);
  assert.equal(await text(`http://${host}/?to=http://${otherHost}/x`, [host, otherHost]), 'secret');
  assert.deepEqual(asked, ['/x'], 'credentials stay with the host that they are for');
});

test('what goes wrong is told', async () => {
  await assert.rejects(text(`http://${host}/?to=file:///etc/passwd`), /neither https nor http/);
  await assert.rejects(
    asking([host])(`http://${host}/`, {}).then((one) => one.body(3)),
    (error: Error) => error instanceof ModuleError && /more than 3 bytes/.test(error.message),
  );
  await assert.rejects(text('http://no-such-host.invalid/'), /ENOTFOUND|EAI_AGAIN/);
});

test('the operator’s proxy is asked where the environment names one', async () => {
  const ask = asking([], { HTTP_PROXY: `http://${otherHost}` });
  assert.equal((await (await ask('http://modules.invalid/plugin.wasm', {})).body(100)).toString(), 'secret');
  assert.equal(asked.at(-1), 'http://modules.invalid/plugin.wasm');
});
