import { bodyOf, bookIn, json, serve } from '../bookinfo/service.ts';

/** Bookinfo's ratings: stars that reviewers gave; kept in memory, and set by `POST /ratings/N` with `{"NAME": STARS}`. */
const usual: Readonly<Record<string, number>> = { Reviewer1: 5, Reviewer2: 4 };
const ratings = new Map<number, Readonly<Record<string, number>>>();

function starsOf(text: string): Readonly<Record<string, number>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const entries = Object.entries(value);
    return entries.every(([, stars]) => Number.isInteger(stars) && stars >= 0 && stars <= 5)
      ? Object.fromEntries(entries)
      : undefined;
  } catch {
    return undefined;
  }
}

serve('ratings', async (request, response, { pathname }) => {
  if (pathname === '/health') return json(response, { status: 'Ratings is healthy' });
  const id = bookIn(pathname, 'ratings');
  if (id === undefined) return;
  if (request.method === 'POST') {
    const stars = starsOf(await bodyOf(request));
    if (!stars) return json(response, { error: 'ratings are an object of names and 0 to 5 stars' }, 400);
    ratings.set(id, stars);
  }
  json(response, { id, ratings: ratings.get(id) ?? usual });
});
