import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { fetchFrom, isForbidden } from './fetch.ts';

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
  server.close();
  other.close();
});

const text = async (url: string, trusted: readonly string[] = [host]): Promise<string> =>
  (await (await fetchFrom(url, { authorization: 'Bearer x' }, (one) => trusted.includes(one))).body(100)).toString();

test('addresses of the own machine, its link and its cloud are forbidden', () => {
  for (const address of [
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '169.254.169.254',
    '[::1]',
    'fe80::1%eth0',
    'fd00:ec2::254',
  ])
    assert.ok(isForbidden(address), address);
  for (const address of ['::ffff:127.0.0.1', '::ffff:a9fe:a9fe']) assert.ok(isForbidden(address), address);
  for (const address of ['10.0.0.1', '192.168.1.1', '8.8.8.8', '2001:db8::1', 'fd00::1', 'example.com'])
    assert.equal(isForbidden(address), false, address);
});

test('they are not asked, by address, by name, or after a redirect, unless the host is trusted', async () => {
  assert.equal(await text(`http://${host}/`), 'module');
  const port = otherHost.split(':')[1];
  for (const url of [
    `http://${otherHost}/`,
    `http://localhost:${port}/`,
    `http://[::ffff:7f00:1]:${port}/`,
    `http://2130706433:${port}/`,
    `http://${host}/?to=http://${otherHost}/`,
    `http://${host}/?to=http://localhost:${port}/`,
  ])
    await assert.rejects(text(url), /nothing is fetched from there/, url);
  assert.deepEqual(asked, []);
  assert.equal(await text(`http://${host}/?to=http://${otherHost}/x`, [host, otherHost]), 'secret');
  assert.deepEqual(asked, ['/x'], 'credentials stay with the host that they are for');
});

test('what goes wrong is told', async () => {
  await assert.rejects(text(`http://${host}/?to=file:///etc/passwd`), /neither by https nor by http/);
  await assert.rejects(
    fetchFrom(`http://${host}/`, {}, () => true).then((one) => one.body(3)),
    /more than 3 bytes/,
  );
  await assert.rejects(text('http://no-such-host.invalid/'), /cannot be reached/);
});
