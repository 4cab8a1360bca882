import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { status } from '@grpc/grpc-js';
import type { Ad, CartItem, Money, Product } from '../contract.ts';
import { addressFrom, portFrom } from '../environment.ts';
import { log } from '../log.ts';
import { add, multiply } from '../money.ts';
import {
  type CartLine,
  cartPage,
  errorPage,
  type Frame,
  homePage,
  orderPage,
  type PricedProduct,
  productPage,
} from '../pages.ts';
import { picture } from '../pictures.ts';
import { connect, RpcError } from '../rpc.ts';
import { withTrace } from '../trace.ts';

const env = process.env;
const catalogue = connect('ProductCatalogService', addressFrom(env, 'PRODUCT_CATALOG_SERVICE_ADDR'));
const currencies = connect('CurrencyService', addressFrom(env, 'CURRENCY_SERVICE_ADDR'));
const carts = connect('CartService', addressFrom(env, 'CART_SERVICE_ADDR'));
const recommendations = connect('RecommendationService', addressFrom(env, 'RECOMMENDATION_SERVICE_ADDR'));
const checkout = connect('CheckoutService', addressFrom(env, 'CHECKOUT_SERVICE_ADDR'));
const shipping = connect('ShippingService', addressFrom(env, 'SHIPPING_SERVICE_ADDR'));
const ads = connect('AdService', addressFrom(env, 'AD_SERVICE_ADDR'));
const baseUrl = env.BASE_URL ?? '';
const shownCurrencies = ['USD', 'EUR', 'CAD', 'JPY', 'GBP', 'TRY'];
const maxFormBytes = 64 * 1024;

interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly session: string;
  readonly currency: string;
}

class HttpError extends Error {
  readonly status: number;
  constructor(httpStatus: number, message: string) {
    super(message);
    this.status = httpStatus;
  }
}

function cookie(request: IncomingMessage, name: string): string | undefined {
  const pair = (request.headers.cookie ?? '')
    .split(';')
    .map((part) => part.trim())
    .find((part) => part.startsWith(`${name}=`));
  return pair?.slice(name.length + 1) || undefined;
}

async function form(request: IncomingMessage): Promise<URLSearchParams> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxFormBytes) throw new HttpError(413, `a form may have ${maxFormBytes} bytes at most`);
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}

async function frameFor({ request, session, currency }: Visit, cart?: readonly CartItem[]): Promise<Frame> {
  const items = cart ?? (await carts.GetCart({ userId: session })).items;
  return {
    baseUrl,
    currency,
    currencies: shownCurrencies,
    cartSize: items.reduce((sum, { quantity }) => sum + quantity, 0),
    message: env.FRONTEND_MESSAGE ?? '',
    podName: hostname(),
    requestId: String(request.headers['x-request-id'] ?? ''),
  };
}

const priced = async (product: Product, currency: string): Promise<PricedProduct> => ({
  product,
  price: await currencies.Convert({ from: product.priceUsd, toCode: currency }),
});

/** One advert that fits, or none: a shop without adverts still sells. */
async function advert(categories: readonly string[]): Promise<Ad | undefined> {
  try {
    const { ads: fitting } = await ads.GetAds({ contextKeys: categories });
    return fitting[Math.floor(Math.random() * fitting.length)];
  } catch (error) {
    log('error', `no advert: ${(error as Error).message}`);
    return undefined;
  }
}

async function recommended(
  { session, currency }: Visit,
  productIds: readonly string[],
): Promise<readonly PricedProduct[]> {
  const { productIds: ids } = await recommendations.ListRecommendations({ userId: session, productIds });
  return Promise.all(ids.slice(0, 4).map(async (id) => priced(await catalogue.GetProduct({ id }), currency)));
}

function html({ response }: Visit, body: string, httpStatus = 200): void {
  response
    .writeHead(httpStatus, { 'content-type': 'text/html; charset=utf-8', 'content-length': Buffer.byteLength(body) })
    .end(body);
}
const redirect = ({ response }: Visit, path: string) =>
  response.writeHead(302, { location: `${baseUrl}${path}` }).end();

async function home(visit: Visit): Promise<void> {
  const [{ products }, frame, ad] = await Promise.all([catalogue.ListProducts({}), frameFor(visit), advert([])]);
  html(visit, homePage(frame, await Promise.all(products.map((product) => priced(product, visit.currency))), ad));
}

async function product(visit: Visit, id: string): Promise<void> {
  const found = await catalogue.GetProduct({ id });
  const [frame, price, others, ad] = await Promise.all([
    frameFor(visit),
    priced(found, visit.currency),
    recommended(visit, [id]),
    advert(found.categories),
  ]);
  html(visit, productPage(frame, price, others, ad));
}

async function cart(visit: Visit): Promise<void> {
  const { items } = await carts.GetCart({ userId: visit.session });
  const [frame, others, { costUsd }] = await Promise.all([
    frameFor(visit, items),
    recommended(
      visit,
      items.map(({ productId }) => productId),
    ),
    shipping.GetQuote({ address: null, items }),
  ]);
  const shippingCost = await currencies.Convert({ from: costUsd, toCode: visit.currency });
  const lines = await Promise.all(
    items.map(async (item): Promise<CartLine> => {
      const { product: found, price } = await priced(
        await catalogue.GetProduct({ id: item.productId }),
        visit.currency,
      );
      return { product: found, price, item, cost: multiply(price, item.quantity) };
    }),
  );
  const total = lines.reduce((sum, { cost }) => add(sum, cost), shippingCost);
  html(visit, cartPage(frame, lines, shippingCost, total, others, new Date().getUTCFullYear()));
}

async function addToCart(visit: Visit): Promise<void> {
  const fields = await form(visit.request);
  const id = fields.get('product_id') ?? '';
  const quantity = Number(fields.get('quantity') ?? '1');
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > 1000)
    throw new HttpError(422, `quantity must be a number from 1 to 1000, not '${fields.get('quantity')}'`);
  const { id: productId } = await catalogue.GetProduct({ id });
  await carts.AddItem({ userId: visit.session, item: { productId, quantity } });
  redirect(visit, '/cart');
}

async function placeOrder(visit: Visit): Promise<void> {
  const fields = await form(visit.request);
  const text = (name: string) => fields.get(name) ?? '';
  const whole = (name: string) => {
    const value = Number(text(name));
    if (!Number.isInteger(value)) throw new HttpError(422, `${name} must be a whole number, not '${text(name)}'`);
    return value;
  };
  const { order } = await checkout.PlaceOrder({
    userId: visit.session,
    userCurrency: visit.currency,
    email: text('email'),
    address: {
      streetAddress: text('street_address'),
      city: text('city'),
      state: text('state'),
      country: text('country'),
      zipCode: whole('zip_code'),
    },
    creditCard: {
      creditCardNumber: text('credit_card_number'),
      creditCardCvv: whole('credit_card_cvv'),
      creditCardExpirationYear: whole('credit_card_expiration_year'),
      creditCardExpirationMonth: whole('credit_card_expiration_month'),
    },
  });
  const total = order.items.reduce(
    (sum: Money, { item, cost }) => add(sum, multiply(cost, item.quantity)),
    order.shippingCost,
  );
  html(visit, orderPage(await frameFor(visit, []), order, total));
}

async function setCurrency(visit: Visit): Promise<void> {
  const code = (await form(visit.request)).get('currency_code') ?? '';
  if (!shownCurrencies.includes(code))
    throw new HttpError(422, `'${code}' is not one of ${shownCurrencies.join(', ')}`);
  visit.response.setHeader('set-cookie', [
    `shop_session-id=${visit.session}; Max-Age=172800; Path=/`,
    `shop_currency=${code}; Max-Age=172800; Path=/`,
  ]);
  redirect(visit, '/');
}

async function route(visit: Visit, method: string, path: string): Promise<void> {
  const { response } = visit;
  if (path === '/_healthz') return void response.end('ok');
  if (path === '/robots.txt') return void response.end('User-agent: *\nDisallow: /');
  const drawing = /^\/static\/img\/([a-z-]+)\.svg$/.exec(path);
  if (drawing) {
    const svg = picture(drawing[1] ?? '');
    if (!svg) throw new HttpError(404, `there is no picture '${drawing[1]}'`);
    return void response.writeHead(200, { 'content-type': 'image/svg+xml', 'cache-control': 'max-age=3600' }).end(svg);
  }
  const found = /^\/product\/([^/]+)$/.exec(path);
  const read = method === 'GET' || method === 'HEAD';
  if (read && path === '/') return home(visit);
  if (read && found) return product(visit, decodeURIComponent(found[1] ?? ''));
  if (read && path === '/cart') return cart(visit);
  if (method === 'POST' && path === '/cart') return addToCart(visit);
  if (method === 'POST' && path === '/cart/empty') {
    await carts.EmptyCart({ userId: visit.session });
    return void redirect(visit, '/');
  }
  if (method === 'POST' && path === '/cart/checkout') return placeOrder(visit);
  if (method === 'POST' && path === '/setCurrency') return setCurrency(visit);
  if (read && path === '/logout') {
    response.setHeader('set-cookie', ['shop_session-id=; Max-Age=0; Path=/', 'shop_currency=; Max-Age=0; Path=/']);
    return void redirect(visit, '/');
  }
  throw new HttpError(404, `there is no page ${path}`);
}

function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  if (error instanceof URIError) return 400;
  if (error instanceof RpcError && error.code === status.NOT_FOUND) return 404;
  if (error instanceof RpcError && error.code === status.INVALID_ARGUMENT) return 422;
  return 500;
}

// The proxy in front ends idle connections: if both did, its next request could meet the end of one.
const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
  const known = cookie(request, 'shop_session-id');
  const session = known ?? randomUUID();
  const path = (request.url ?? '/').split('?')[0] ?? '/';
  if (!known && path !== '/_healthz')
    response.setHeader('set-cookie', `shop_session-id=${session}; Max-Age=172800; Path=/`);
  const currency = cookie(request, 'shop_currency') ?? 'USD';
  const visit: Visit = { request, response, session, currency: shownCurrencies.includes(currency) ? currency : 'USD' };
  const header = (name: string) => {
    const value = request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  };
  withTrace(header, () =>
    route(
      visit,
      request.method ?? 'GET',
      baseUrl && path.startsWith(baseUrl) ? path.slice(baseUrl.length) || '/' : path,
    ),
  ).catch(async (error: Error) => {
    log('error', `${request.method} ${path}: ${error.message}`);
    if (response.headersSent) return void response.destroy();
    const frame: Frame = {
      baseUrl,
      currency: visit.currency,
      currencies: shownCurrencies,
      cartSize: 0,
      message: '',
      podName: hostname(),
      requestId: '',
    };
    const httpStatus = statusOf(error);
    html(visit, errorPage(frame, httpStatus, error.message), httpStatus);
  });
});
const port = portFrom(env, 8080);
server.listen(port, env.LISTEN_ADDR || '0.0.0.0', () => log('info', `the shop listens on port ${port}`));
process.once('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
