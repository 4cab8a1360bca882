import { type ProductPage, productPage, type Said, startPage } from '../bookinfo/page.ts';
import { handOn } from '../bookinfo/propagation.ts';
import { addressOf, ask, bodyOf, json, serve } from '../bookinfo/service.ts';

/** Bookinfo's product page: asks details and reviews, and tells them who signed in with the header `end-user`. */
const env = process.env;
const patience = 3_000;
const product = {
  id: 0,
  title: 'The Comedy of Errors',
  description:
    'One of Shakespeare’s first comedies, and his shortest play: two pairs of twins, parted by a shipwreck, come to the same town on the same day, and everybody takes each for the other.',
};

async function said<T>(url: string, headers: Readonly<Record<string, string>>, tries: number): Promise<Said<T>> {
  for (let attempt = 1; ; attempt++) {
    let status = 500;
    try {
      const reply = await ask(url, headers, patience);
      if (reply.status === 200) return { ok: true, value: JSON.parse(reply.body) as T };
      status = reply.status;
    } catch (error) {
      console.error(`${url}: ${(error as Error).message}`);
    }
    if (attempt === tries) return { ok: false, status };
  }
}

const detailsOf = (id: number, headers: Readonly<Record<string, string>>) =>
  said<Readonly<Record<string, string | number>>>(`${addressOf('DETAILS', env)}/details/${id}`, headers, 1);
/** Asked twice where there is no answer, three seconds each. */
const reviewsOf = (id: number, headers: Readonly<Record<string, string>>) =>
  said<Extract<ProductPage['reviews'], { ok: true }>['value']>(
    `${addressOf('REVIEWS', env)}/reviews/${id}`,
    headers,
    2,
  );
const ratingsOf = (id: number, headers: Readonly<Record<string, string>>) =>
  said<unknown>(`${addressOf('RATINGS', env)}/ratings/${id}`, headers, 1);

/** Who signed in, by the session cookie: a sample keeps no secrets, so the cookie holds the name. */
function userIn(cookie: string | undefined): string | undefined {
  const value = /(?:^|;\s*)session=([^;]*)/.exec(cookie ?? '')?.[1];
  if (!value) return undefined;
  const name = Buffer.from(value, 'base64url').toString('utf8');
  // A header holds it later on.
  return /^[\x21-\x7e]{1,64}$/.test(name) ? name : undefined;
}

const html = { 'content-type': 'text/html; charset=utf-8' };

serve('productpage', async (request, response, { pathname }) => {
  const user = userIn(request.headers.cookie);
  const headers = { ...handOn(request.headers), ...(user && { 'end-user': user }) };
  const back = (cookie: string) =>
    void response
      .writeHead(302, {
        location: request.headers.referer ?? '/productpage',
        'set-cookie': `session=${cookie}; Path=/`,
      })
      .end();
  const pass = (answer: Said<unknown>) =>
    answer.ok
      ? json(response, answer.value)
      : json(response, { error: 'the service behind this gave no answer' }, answer.status);
  switch (pathname) {
    case '/':
    case '/index.html':
      return void response.writeHead(200, html).end(startPage(user));
    case '/health':
      return void response.writeHead(200, { 'content-type': 'text/plain' }).end('Product page is healthy\n');
    case '/login': {
      const name = new URLSearchParams(await bodyOf(request)).get('username') ?? '';
      return back(`${Buffer.from(name).toString('base64url')}; HttpOnly; SameSite=Lax`);
    }
    case '/logout':
      return back('; Max-Age=0');
    case '/productpage': {
      const [details, reviews] = await Promise.all([detailsOf(product.id, headers), reviewsOf(product.id, headers)]);
      const page = productPage({ product, details, reviews, ...(user && { user }) });
      return void response.writeHead(200, html).end(page);
    }
    case '/api/v1/products':
      return json(response, [{ id: product.id, title: product.title, descriptionHtml: product.description }]);
  }
  const [, id, part] = /^\/api\/v1\/products\/(\d+)(?:\/(reviews|ratings))?$/.exec(pathname) ?? [];
  if (id === undefined) return;
  if (part === 'reviews') return pass(await reviewsOf(Number(id), headers));
  if (part === 'ratings') return pass(await ratingsOf(Number(id), headers));
  return pass(await detailsOf(Number(id), headers));
});
