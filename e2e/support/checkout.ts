import assert from 'node:assert/strict';
import { postForm } from './http.ts';

type Headers = Readonly<Record<string, string>>;

/** Puts three of a product into the cart of Online Boutique at `address`; whose cart it is, is in the cookie of the headers. */
export async function fillCart(address: string, headers: Headers): Promise<void> {
  const added = await postForm(`http://${address}/cart`, { product_id: '6E92ZMYYFZ', quantity: '3' }, headers);
  assert.equal(added.status, 302, added.error ?? added.body);
}

/** Orders what is in the cart. */
export async function checkOut(address: string, headers: Headers): Promise<void> {
  const order = await postForm(
    `http://${address}/cart/checkout`,
    {
      email: 'a@example.com',
      street_address: '1 Road',
      zip_code: '12345',
      city: 'Town',
      state: 'ST',
      country: 'Country',
      credit_card_number: '4111-1111-1111-1111',
      credit_card_expiration_month: '1',
      credit_card_expiration_year: '2099',
      credit_card_cvv: '123',
    },
    headers,
  );
  assert.equal(order.status, 200, order.error ?? order.body);
  assert.match(order.body, /Your order is complete/);
}
