import type { Ad, CartItem, Money, OrderResult, Product } from './contract.ts';
import { format } from './money.ts';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text made safe for HTML. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

/** What stands around every page. */
export interface Frame {
  readonly baseUrl: string;
  readonly currency: string;
  readonly currencies: readonly string[];
  readonly cartSize: number;
  readonly message: string;
  readonly podName: string;
  readonly requestId: string;
}

const style = `
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;color:#22252b;background:#fafaf8}
a{color:inherit;text-decoration:none}header{display:flex;gap:1rem;align-items:center;padding:1rem 5vw;background:#1f3d3a;color:#fff}
header .name{font-weight:700;font-size:1.25rem;margin-right:auto}main{max-width:70rem;margin:0 auto;padding:1.5rem 5vw}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(14rem,1fr));gap:1.5rem}
.card{background:#fff;border:1px solid #e4e4df;border-radius:.75rem;overflow:hidden;display:block}.card:hover{border-color:#1f3d3a}
.card img{width:100%;display:block;aspect-ratio:1}.card div{padding:.75rem 1rem}.price{color:#5a5f66}
.product{display:grid;grid-template-columns:minmax(12rem,1fr) 1fr;gap:2rem;align-items:start}.product img{width:100%;border-radius:.75rem}
button,select,input{font:inherit;padding:.5rem .75rem;border-radius:.5rem;border:1px solid #c8c8c0;background:#fff}
button{background:#1f3d3a;color:#fff;border-color:#1f3d3a;cursor:pointer}button.plain{background:#fff;color:#1f3d3a}
table{width:100%;border-collapse:collapse;background:#fff}td,th{padding:.6rem;border-bottom:1px solid #e4e4df;text-align:left}td.number,th.number{text-align:right}
.ad{margin:2rem 0;padding:.75rem 1rem;background:#fff6e0;border-radius:.5rem;display:block}.note{padding:.5rem 5vw;background:#fff6e0}
form.checkout{display:grid;grid-template-columns:repeat(auto-fit,minmax(14rem,1fr));gap:1rem;margin-top:1.5rem}label{display:grid;gap:.25rem;font-size:.9rem}
footer{padding:1.5rem 5vw;color:#7a7f86;font-size:.85rem}`;

/** A whole page. `title` and `content` are HTML; everything in the frame is escaped here. */
export function page(frame: Frame, title: string, content: string): string {
  const options = frame.currencies
    .map((code) => `<option${code === frame.currency ? ' selected' : ''}>${escapeHtml(code)}</option>`)
    .join('');
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title} - Online Boutique</title><style>${style}</style></head><body>
${frame.message ? `<div class="note">${escapeHtml(frame.message)}</div>` : ''}<header><a class="name" href="${frame.baseUrl}/">Online Boutique</a>
<form method="post" action="${frame.baseUrl}/setCurrency"><label><select name="currency_code" aria-label="Currency" onchange="this.form.submit()">${options}</select></label></form>
<a href="${frame.baseUrl}/cart">Cart (${frame.cartSize})</a></header><main>${content}</main>
<footer>This is a sample for a service mesh; nothing is sold here. ${escapeHtml(frame.podName)} ${escapeHtml(frame.requestId)}</footer></body></html>`;
}

const image = (frame: Frame, product: Product) =>
  `<img src="${frame.baseUrl}${escapeHtml(product.picture)}" alt="${escapeHtml(product.name)}">`;
const card = (frame: Frame, product: Product, price: Money) =>
  `<a class="card" href="${frame.baseUrl}/product/${encodeURIComponent(product.id)}">${image(frame, product)}<div><strong>${escapeHtml(product.name)}</strong><br><span class="price">${format(price)}</span></div></a>`;
const advert = (frame: Frame, ad: Ad | undefined) =>
  ad ? `<a class="ad" href="${frame.baseUrl}${escapeHtml(ad.redirectUrl)}">Ad: ${escapeHtml(ad.text)}</a>` : '';

export interface PricedProduct {
  readonly product: Product;
  readonly price: Money;
}

export function homePage(frame: Frame, products: readonly PricedProduct[], ad: Ad | undefined): string {
  return page(
    frame,
    'Home',
    `<h1>Hot products</h1><div class="grid">${products.map(({ product, price }) => card(frame, product, price)).join('')}</div>${advert(frame, ad)}`,
  );
}

export function productPage(
  frame: Frame,
  { product, price }: PricedProduct,
  recommended: readonly PricedProduct[],
  ad: Ad | undefined,
): string {
  const quantities = [1, 2, 3, 4, 5, 10].map((n) => `<option>${n}</option>`).join('');
  return page(
    frame,
    escapeHtml(product.name),
    `<div class="product">${image(frame, product)}<div><h1>${escapeHtml(product.name)}</h1><p class="price">${format(price)}</p><p>${escapeHtml(product.description)}</p>
<form method="post" action="${frame.baseUrl}/cart"><input type="hidden" name="product_id" value="${escapeHtml(product.id)}"><select name="quantity" aria-label="Quantity">${quantities}</select> <button>Add to cart</button></form></div></div>
${recommendations(frame, recommended)}${advert(frame, ad)}`,
  );
}

const recommendations = (frame: Frame, products: readonly PricedProduct[]) =>
  products.length > 0
    ? `<h2>You may also like</h2><div class="grid">${products.map(({ product, price }) => card(frame, product, price)).join('')}</div>`
    : '';

export interface CartLine extends PricedProduct {
  readonly item: CartItem;
  readonly cost: Money;
}

export function cartPage(
  frame: Frame,
  lines: readonly CartLine[],
  shipping: Money,
  total: Money,
  recommended: readonly PricedProduct[],
  year: number,
): string {
  if (lines.length === 0)
    return page(
      frame,
      'Cart',
      `<h1>Your cart is empty</h1><p><a href="${frame.baseUrl}/">Go and find something.</a></p>${recommendations(frame, recommended)}`,
    );
  const rows = lines
    .map(
      ({ product, item, cost }) =>
        `<tr><td><a href="${frame.baseUrl}/product/${encodeURIComponent(product.id)}">${escapeHtml(product.name)}</a></td><td class="number">${item.quantity}</td><td class="number">${format(cost)}</td></tr>`,
    )
    .join('');
  const fields: readonly (readonly [name: string, label: string, value: string])[] = [
    ['email', 'E-mail', 'someone@example.com'],
    ['street_address', 'Street', '12 Harbour Street'],
    ['zip_code', 'Postal code', '20457'],
    ['city', 'City', 'Hamburg'],
    ['state', 'State', 'HH'],
    ['country', 'Country', 'Germany'],
    ['credit_card_number', 'Card number', '4111-1111-1111-1111'],
    ['credit_card_expiration_month', 'Card expires: month', '1'],
    ['credit_card_expiration_year', 'Card expires: year', String(year + 2)],
    ['credit_card_cvv', 'Card check digits', '123'],
  ];
  return page(
    frame,
    'Cart',
    `<h1>Cart</h1><table><tr><th>Product</th><th class="number">Quantity</th><th class="number">Price</th></tr>${rows}<tr><td>Shipping</td><td></td><td class="number">${format(shipping)}</td></tr><tr><th>Total</th><th></th><th class="number">${format(total)}</th></tr></table>
<form method="post" action="${frame.baseUrl}/cart/empty"><p><button class="plain">Empty the cart</button></p></form>
<h2>Check out</h2><form class="checkout" method="post" action="${frame.baseUrl}/cart/checkout">${fields.map(([name, label, value]) => `<label>${label}<input name="${name}" value="${escapeHtml(value)}" required></label>`).join('')}<label>&nbsp;<button>Place order</button></label></form>
${recommendations(frame, recommended)}`,
  );
}

export function orderPage(frame: Frame, order: OrderResult, total: Money): string {
  return page(
    frame,
    'Order',
    `<h1>Your order is complete!</h1><p>Order <strong>${escapeHtml(order.orderId)}</strong></p><p>Parcel <strong>${escapeHtml(order.shippingTrackingId)}</strong></p><p>Shipping ${format(order.shippingCost)}, in all <strong>${format(total)}</strong></p><p><a href="${frame.baseUrl}/">Keep browsing</a></p>`,
  );
}

export function errorPage(frame: Frame, status: number, message: string): string {
  return page(
    frame,
    `Error ${status}`,
    `<h1>Something went wrong</h1><p>HTTP status ${status}</p><pre>${escapeHtml(message)}</pre>`,
  );
}
