import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { products } from '../catalogue.ts';
import { addressFrom } from '../environment.ts';
import { log } from '../log.ts';

/** Plays customers: USERS of them, of whom RATE come in each second, each doing something every one to ten seconds. */
const frontend = addressFrom(process.env, 'FRONTEND_ADDR');
const users = Number(process.env.USERS ?? '10');
const arrivalsPerSecond = Number(process.env.RATE ?? '1');
const currencies = ['EUR', 'USD', 'JPY', 'CAD', 'GBP', 'TRY'];
const agent = new Agent({ keepAlive: true, maxSockets: users });
const counts = { requests: 0, failures: 0 };
let running = true;
process.once('SIGTERM', () => {
  running = false;
  process.exit(0);
});

const pick = <T>(list: readonly T[]): T => {
  const chosen = list[Math.floor(Math.random() * list.length)];
  if (chosen === undefined) throw new Error('cannot pick from an empty list');
  return chosen;
};

/** One request of one user; resolves with its status code, 0 when there was no answer. */
function send(
  user: string,
  method: 'GET' | 'POST',
  path: string,
  form?: Readonly<Record<string, string>>,
): Promise<number> {
  const body = form ? new URLSearchParams(form).toString() : undefined;
  return new Promise((resolve) => {
    const done = (status: number) => {
      counts.requests += 1;
      if (status === 0 || status >= 500) counts.failures += 1;
      resolve(status);
    };
    const outgoing = request(
      `http://${frontend}${path}`,
      {
        method,
        agent,
        timeout: 30_000,
        headers: {
          cookie: `shop_session-id=${user}`,
          ...(body
            ? { 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(body) }
            : {}),
        },
      },
      (response) => {
        response.resume();
        response.on('end', () => done(response.statusCode ?? 0));
        response.on('error', () => done(0));
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 30 seconds')));
    outgoing.on('error', () => done(0));
    outgoing.end(body);
  });
}

const addToCart = (user: string) =>
  send(user, 'POST', '/cart', { product_id: pick(products).id, quantity: String(1 + Math.floor(Math.random() * 10)) });
const checkout = async (user: string) => {
  await addToCart(user);
  await send(user, 'POST', '/cart/checkout', {
    email: 'someone@example.com',
    street_address: '12 Harbour Street',
    zip_code: '20457',
    city: 'Hamburg',
    state: 'HH',
    country: 'Germany',
    credit_card_number: '4111-1111-1111-1111',
    credit_card_expiration_month: '1',
    credit_card_expiration_year: String(new Date().getUTCFullYear() + 2),
    credit_card_cvv: '123',
  });
};
const actions: readonly { readonly weight: number; readonly act: (user: string) => Promise<unknown> }[] = [
  { weight: 1, act: (user) => send(user, 'GET', '/') },
  { weight: 2, act: (user) => send(user, 'POST', '/setCurrency', { currency_code: pick(currencies) }) },
  { weight: 10, act: (user) => send(user, 'GET', `/product/${pick(products).id}`) },
  { weight: 2, act: addToCart },
  { weight: 3, act: (user) => send(user, 'GET', '/cart') },
  { weight: 1, act: checkout },
];
const deck = actions.flatMap(({ weight, act }) => Array<(user: string) => Promise<unknown>>(weight).fill(act));

async function customer(): Promise<void> {
  const user = crypto.randomUUID();
  await send(user, 'GET', '/');
  while (running) {
    await delay(1000 + Math.random() * 9000);
    await pick(deck)(user);
  }
}

log('info', `${users} users for http://${frontend}, ${arrivalsPerSecond} arriving each second`);
setInterval(() => log('info', `${counts.requests} requests, ${counts.failures} failed`), 60_000).unref();
const customers: Promise<void>[] = [];
for (let n = 0; n < users; n++) {
  customers.push(customer());
  await delay(1000 / arrivalsPerSecond);
}
await Promise.all(customers);
