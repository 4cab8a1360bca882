import { bookIn, json, serve } from '../bookinfo/service.ts';

/** Bookinfo's details: what is printed on the first page of a book. */
serve('details', (_request, response, { pathname }) => {
  if (pathname === '/health') return json(response, { status: 'Details is healthy' });
  const id = bookIn(pathname, 'details');
  if (id === undefined) return;
  json(response, {
    id,
    author: 'William Shakespeare',
    year: 1595,
    type: 'paperback',
    pages: 200,
    publisher: 'PublisherA',
    language: 'English',
    'ISBN-10': '1234567890',
    'ISBN-13': '123-1234567890',
  });
});
