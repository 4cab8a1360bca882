import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import type { OrderResult } from '../contract.ts';
import { addressFrom, portFrom } from '../environment.ts';
import { log } from '../log.ts';
import { add, multiply } from '../money.ts';
import { connect, RpcError, serve } from '../rpc.ts';

const catalogue = connect('ProductCatalogService', addressFrom(process.env, 'PRODUCT_CATALOG_SERVICE_ADDR'));
const carts = connect('CartService', addressFrom(process.env, 'CART_SERVICE_ADDR'));
const currencies = connect('CurrencyService', addressFrom(process.env, 'CURRENCY_SERVICE_ADDR'));
const shipping = connect('ShippingService', addressFrom(process.env, 'SHIPPING_SERVICE_ADDR'));
const payments = connect('PaymentService', addressFrom(process.env, 'PAYMENT_SERVICE_ADDR'));
const emails = connect('EmailService', addressFrom(process.env, 'EMAIL_SERVICE_ADDR'));

await serve('CheckoutService', portFrom(process.env, 5050), {
  PlaceOrder: async ({ userId, userCurrency, address, email, creditCard }) => {
    const { items: cart } = await carts.GetCart({ userId });
    if (cart.length === 0)
      throw new RpcError(status.FAILED_PRECONDITION, 'the cart is empty: add a product before checking out');
    const items = await Promise.all(
      cart.map(async (item) => {
        const { priceUsd } = await catalogue.GetProduct({ id: item.productId });
        return { item, cost: await currencies.Convert({ from: priceUsd, toCode: userCurrency }) };
      }),
    );
    const { costUsd } = await shipping.GetQuote({ address, items: cart });
    const shippingCost = await currencies.Convert({ from: costUsd, toCode: userCurrency });
    const total = items.reduce((sum, { item, cost }) => add(sum, multiply(cost, item.quantity)), shippingCost);
    const { transactionId } = await payments.Charge({ amount: total, creditCard });
    const { trackingId } = await shipping.ShipOrder({ address, items: cart });
    await carts.EmptyCart({ userId });
    const order: OrderResult = {
      orderId: randomUUID(),
      shippingTrackingId: trackingId,
      shippingCost,
      shippingAddress: address,
      items,
    };
    log('info', `order ${order.orderId} placed, transaction ${transactionId}`);
    // An order stands even if its confirmation cannot be sent.
    await emails
      .SendOrderConfirmation({ email, order })
      .catch((error: Error) => log('error', `no confirmation for order ${order.orderId}: ${error.message}`));
    return { order };
  },
});
