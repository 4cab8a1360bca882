/** The pages of Bookinfo: pure functions from what the services said to HTML. */

export interface Review {
  readonly reviewer: string;
  readonly text: string;
  readonly rating?: { readonly stars?: number; readonly color?: string; readonly error?: string };
}

export interface Product {
  readonly id: number;
  readonly title: string;
  readonly description: string;
}

/** What a service said, or why it said nothing. */
export type Said<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly status: number };

export interface ProductPage {
  readonly product: Product;
  readonly details: Said<Readonly<Record<string, string | number>>>;
  readonly reviews: Said<{
    readonly podname?: string;
    readonly clustername?: string | null;
    readonly reviews: readonly Review[];
  }>;
  readonly user?: string;
}

const title = 'Simple Bookstore App';

const style = `
:root{--ink:#1d2430;--muted:#5c6675;--line:#e3e7ee;--paper:#fff;--back:#f4f6fa;--accent:#3b5bdb}
*{box-sizing:border-box}
body{margin:0;font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;color:var(--ink);background:var(--back)}
header{background:var(--paper);border-bottom:1px solid var(--line)}
.bar,main{max-width:960px;margin:0 auto;padding-inline:24px}
.bar{display:flex;align-items:center;justify-content:space-between;gap:16px;min-height:60px;padding-block:10px;flex-wrap:wrap}
.brand{font-weight:700;color:var(--ink);text-decoration:none;letter-spacing:-.01em}
.brand span{color:var(--accent)}
a{color:var(--accent)}
form{display:flex;gap:8px;align-items:center;flex-wrap:wrap;margin:0}
input{font:inherit;padding:6px 10px;border:1px solid var(--line);border-radius:6px;width:130px}
button{font:inherit;font-weight:600;padding:6px 14px;border:0;border-radius:6px;background:var(--accent);color:#fff;cursor:pointer}
button.quiet{background:none;color:var(--accent);padding:6px}
main{padding-top:36px;padding-bottom:56px}
h1{font-size:32px;line-height:1.2;letter-spacing:-.02em;margin:0 0 8px}
h2{font-size:18px;margin:0 0 14px}
.summary{color:var(--muted);max-width:68ch;margin:0 0 28px}
.columns{display:grid;grid-template-columns:minmax(0,5fr) minmax(0,7fr);gap:20px;align-items:start}
@media(max-width:720px){.columns{grid-template-columns:1fr}}
.card{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:22px 24px}
dl{display:grid;grid-template-columns:auto 1fr;gap:8px 20px;margin:0}
dt{color:var(--muted)}dd{margin:0;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
blockquote{margin:0;padding:0 0 18px}
blockquote+blockquote{border-top:1px solid var(--line);padding-top:18px}
blockquote p{margin:0 0 6px}
cite{font-style:normal;color:var(--muted)}
.stars{font-size:20px;letter-spacing:2px}
.stars .off{opacity:.22}
.black{color:#1d2430}.red{color:#d6293e}
.problem{background:#fff4f4;border:1px solid #f3c6c9;color:#8f1d2a;border-radius:8px;padding:10px 14px;margin:0}
.by{border-top:1px solid var(--line);margin:4px 0 0;padding-top:14px;color:var(--muted);font-size:14px}
code{font:13px ui-monospace,SFMono-Regular,Menlo,monospace}
`;

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};
const text = (value: unknown): string => String(value).replace(/[&<>"']/g, (character) => escapes[character] ?? '');

function frame(user: string | undefined, main: string): string {
  const account = user
    ? `<form action="/logout" method="get"><span>Signed in as <strong>${text(user)}</strong></span><button class="quiet">Sign out</button></form>`
    : `<form action="/login" method="post"><input name="username" placeholder="User name" aria-label="User name" autocomplete="username" required><input name="passwd" type="password" placeholder="Password" aria-label="Password" autocomplete="current-password"><button>Sign in</button></form>`;
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${style}</style>
</head>
<body>
<header><div class="bar"><a class="brand" href="/productpage">Book<span>info</span> Sample</a>${account}</div></header>
<main>
${main}
</main>
</body>
</html>
`;
}

const names: Readonly<Record<string, string>> = {
  type: 'Type',
  pages: 'Pages',
  publisher: 'Publisher',
  language: 'Language',
  author: 'Author',
  year: 'Year',
};

function details(said: ProductPage['details']): string {
  if (!said.ok)
    return '<p class="problem">Error fetching product details!<br>Sorry, product details are currently unavailable for this book.</p>';
  const rows = Object.entries(said.value).filter(([name]) => name !== 'id');
  return `<dl>${rows.map(([name, value]) => `<dt>${text(names[name] ?? name)}</dt><dd>${text(value)}</dd>`).join('')}</dl>`;
}

function rating(of: Review['rating']): string {
  if (!of) return '';
  if (of.error !== undefined) return `<p class="problem">${text(of.error)}</p>`;
  const stars = Math.min(5, Math.max(0, of.stars ?? 0));
  const color = of.color === 'red' ? 'red' : 'black';
  return `<div class="stars ${color}" role="img" aria-label="${stars} of 5 ${color} stars">${'<span>★</span>'.repeat(stars)}${'<span class="off">★</span>'.repeat(5 - stars)}</div>`;
}

function reviews(said: ProductPage['reviews']): string {
  if (!said.ok)
    return '<p class="problem">Error fetching product reviews!<br>Sorry, product reviews are currently unavailable for this book.</p>';
  const { podname, clustername, reviews: list } = said.value;
  const quotes = list.map(
    (review) =>
      `<blockquote><p>${text(review.text)}</p><cite>${text(review.reviewer)}</cite>${rating(review.rating)}</blockquote>`,
  );
  const by = podname
    ? `<p class="by">Reviews served by <code>${text(podname)}</code>${clustername ? ` on cluster <code>${text(clustername)}</code>` : ''}</p>`
    : '';
  return `${quotes.join('\n')}\n${by}`;
}

/** The page of a book, with what details and reviews said. */
export function productPage({ product, details: detailed, reviews: reviewed, user }: ProductPage): string {
  return frame(
    user,
    `<h1>${text(product.title)}</h1>
<p class="summary">${text(product.description)}</p>
<div class="columns">
<section class="card"><h2>Book Details</h2>${details(detailed)}</section>
<section class="card"><h2>Book Reviews</h2>${reviews(reviewed)}</section>
</div>`,
  );
}

/** The first page: where the sample begins. */
export function startPage(user: string | undefined): string {
  return frame(
    user,
    `<h1>Hello! This is a simple bookstore application</h1>
<p class="summary">It is made of four services: the product page asks details and reviews, and two of the three versions of reviews ask ratings.</p>
<p><a href="/productpage?u=normal">Normal user</a> · <a href="/productpage?u=test">Test user</a></p>`,
  );
}
