import { hostname } from 'node:os';
import { handOn } from '../bookinfo/propagation.ts';
import { addressOf, ask, bookIn, json, serve } from '../bookinfo/service.ts';

/**
 * Bookinfo's reviews in its three versions: v1 asks for no ratings, v2 shows black stars and waits ten seconds for them, v3 shows red ones and waits 2.5 s.
 */
const env = process.env;
const color = env.STAR_COLOR ?? 'black';
const rated = env.ENABLE_RATINGS === 'true';
const patience = color === 'black' ? 10_000 : 2_500;
const texts = {
  Reviewer1: 'A merry tangle of twins and mistaken doors. It gets funnier with each reading.',
  Reviewer2: 'Quick, silly and warm. The last scene alone is worth the price.',
};

interface Stars {
  readonly stars: number;
  readonly color: string;
}

type Rating = (reviewer: string) => Stars | { readonly error: string } | undefined;

/** The ratings of a book, or the words that stand in their place. */
async function ratingsOf(id: number, headers: Readonly<Record<string, string>>): Promise<Rating> {
  if (!rated) return () => undefined;
  try {
    const { status, body } = await ask(`${addressOf('RATINGS', env)}/ratings/${id}`, headers, patience);
    if (status !== 200) throw new Error(`ratings answered ${status}`);
    const { ratings } = JSON.parse(body) as { readonly ratings: Readonly<Record<string, number>> };
    return (reviewer) => {
      const stars = ratings[reviewer];
      return stars === undefined ? undefined : { stars, color };
    };
  } catch (error) {
    console.error(`no ratings of ${id}: ${(error as Error).message}`);
    return () => ({ error: 'Ratings service is currently unavailable' });
  }
}

serve('reviews', async (request, response, { pathname }) => {
  if (pathname === '/health') return json(response, { status: 'Reviews is healthy' });
  const id = bookIn(pathname, 'reviews');
  if (id === undefined) return;
  const rating = await ratingsOf(id, handOn(request.headers));
  json(response, {
    id: String(id),
    podname: env.HOSTNAME ?? hostname(),
    clustername: env.CLUSTER_NAME ?? null,
    reviews: Object.entries(texts).map(([reviewer, text]) => ({ reviewer, text, rating: rating(reviewer) })),
  });
});
