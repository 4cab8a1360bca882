import assert from 'node:assert/strict';
import { test } from 'node:test';
import { productPage } from './page.ts';
import { handOn } from './propagation.ts';

const product = { id: 0, title: 'Title', description: 'About <it>' };
const details = { ok: true, value: { id: 0, author: 'Somebody & Sons' } } as const;

test('the page shows details, reviews and stars in the color of the version, and takes nobody’s words for HTML', () => {
  const page = productPage({
    product,
    details,
    reviews: {
      ok: true,
      value: {
        podname: 'reviews-v3-1',
        reviews: [{ reviewer: 'R1', text: '<b>good</b>', rating: { stars: 4, color: 'red' } }],
      },
    },
    user: 'jason',
  });
  assert.match(page, /<title>Simple Bookstore App<\/title>/);
  assert.match(page, /Somebody &amp; Sons/);
  assert.match(page, /&lt;b&gt;good/);
  assert.match(page, /4 of 5 red stars/);
  assert.match(page, /Signed in as <strong>jason/);
  assert.match(page, /reviews-v3-1/);
});

test('what a service did not say is said', () => {
  const page = productPage({ product, details: { ok: false, status: 555 }, reviews: { ok: false, status: 500 } });
  assert.match(page, /product details are currently unavailable/);
  assert.match(page, /product reviews are currently unavailable/);
  assert.doesNotMatch(page, /stars"/);
});

test('the trace and the user go with the requests that follow', () => {
  assert.deepEqual(handOn({ traceparent: '00-1-2-01', 'end-user': 'jason', host: 'reviews', accept: '*/*' }), {
    traceparent: '00-1-2-01',
    'end-user': 'jason',
  });
});
