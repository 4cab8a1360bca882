import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

// The whole shop as processes on loopback ports, without a mesh.
const programs: ChildProcess[] = [];
const logs: string[] = [];
let shop = '';

/** Ports that nobody listens on, all different: each is held until all are known. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => once(server.listen(0, '127.0.0.1'), 'listening')));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** Starts a program and resolves when it says that it listens. */
function start(name: string, port: number, env: Record<string, string> = {}): Promise<void> {
  const file = fileURLToPath(new URL(`bin/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, [file], {
    env: { ...process.env, PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  programs.push(child);
  return new Promise((resolve, reject) => {
    const hear = (chunk: Buffer) => {
      logs.push(`${name}: ${chunk}`);
      if (chunk.includes('listens on port')) resolve();
    };
    child.stdout?.on('data', hear);
    child.stderr?.on('data', hear);
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}\n${logs.join('')}`)));
  });
}

before(async () => {
  const names = [
    'productcatalogservice',
    'currencyservice',
    'cartservice',
    'shippingservice',
    'paymentservice',
    'emailservice',
    'adservice',
    'recommendationservice',
    'checkoutservice',
  ];
  const free = await freePorts(names.length + 1);
  const ports = new Map([...names, 'frontend'].map((name, index) => [name, free[index]!]));
  const at = (name: string) => `127.0.0.1:${ports.get(name)}`;
  const addresses = {
    PRODUCT_CATALOG_SERVICE_ADDR: at('productcatalogservice'),
    CURRENCY_SERVICE_ADDR: at('currencyservice'),
    CART_SERVICE_ADDR: at('cartservice'),
    RECOMMENDATION_SERVICE_ADDR: at('recommendationservice'),
    CHECKOUT_SERVICE_ADDR: at('checkoutservice'),
    SHIPPING_SERVICE_ADDR: at('shippingservice'),
    PAYMENT_SERVICE_ADDR: at('paymentservice'),
    EMAIL_SERVICE_ADDR: at('emailservice'),
    AD_SERVICE_ADDR: at('adservice'),
  };
  await Promise.all(names.map((name) => start(name, ports.get(name)!, addresses)));
  await start('frontend', ports.get('frontend')!, { ...addresses, LISTEN_ADDR: '127.0.0.1' });
  shop = `http://127.0.0.1:${ports.get('frontend')}`;
});
after(() => {
  for (const program of programs) program.kill('SIGKILL');
});

const session = { cookie: 'shop_session-id=test-user; shop_currency=EUR' };
const post = (path: string, fields: Record<string, string>) =>
  fetch(`${shop}${path}`, { method: 'POST', body: new URLSearchParams(fields), headers: session, redirect: 'manual' });
const card = {
  credit_card_number: '4111-1111-1111-1111',
  credit_card_expiration_month: '1',
  credit_card_expiration_year: '2099',
  credit_card_cvv: '123',
};
const address = { email: 'a@example.com', street_address: 'x', zip_code: '1', city: 'y', state: 'z', country: 'c' };

test('the home page shows products with prices', async () => {
  const html = await (await fetch(`${shop}/`)).text();
  assert.match(html, /Sunglasses/);
  assert.match(html, /\$19\.99/);
});

test('a product, its picture and an unknown product', async () => {
  assert.match(await (await fetch(`${shop}/product/6E92ZMYYFZ`, { headers: session })).text(), /Mug.*€/s);
  assert.match(await (await fetch(`${shop}/static/img/mug.svg`)).text(), /^<svg/);
  assert.equal((await fetch(`${shop}/product/nothing`)).status, 404);
});

test('a cart is filled, paid for and empty afterwards', async () => {
  assert.equal((await post('/cart', { product_id: '6E92ZMYYFZ', quantity: '2' })).headers.get('location'), '/cart');
  assert.match(await (await fetch(`${shop}/cart`, { headers: session })).text(), /Mug/);
  const order = await post('/cart/checkout', { ...address, ...card });
  assert.equal(order.status, 200);
  assert.match(await order.text(), /Your order is complete/);
  assert.match(await (await fetch(`${shop}/cart`, { headers: session })).text(), /Your cart is empty/);
  assert.ok(logs.some((line) => line.startsWith('emailservice') && line.includes('confirmation of order')));
});

test('wrong input is refused with the reason', async () => {
  assert.equal((await post('/cart', { product_id: '6E92ZMYYFZ', quantity: 'many' })).status, 422);
  await post('/cart', { product_id: '6E92ZMYYFZ', quantity: '1' });
  const refused = await post('/cart/checkout', { ...address, ...card, credit_card_number: '4111-1111-1111-1112' });
  assert.equal(refused.status, 422);
  assert.match(await refused.text(), /the card number is not valid/);
});
