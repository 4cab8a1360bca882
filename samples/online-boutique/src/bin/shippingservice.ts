import { createHash, randomInt } from 'node:crypto';
import { portFrom } from '../environment.ts';
import { log } from '../log.ts';
import { serve } from '../rpc.ts';

await serve('ShippingService', portFrom(process.env, 50051), {
  // One flat price for any cart with something in it.
  GetQuote: async ({ items }) => ({
    costUsd:
      items.length === 0
        ? { currencyCode: 'USD', units: 0, nanos: 0 }
        : { currencyCode: 'USD', units: 8, nanos: 990_000_000 },
  }),
  ShipOrder: async ({ address }) => {
    const digest = createHash('sha256')
      .update(`${address?.streetAddress}${address?.city}${address?.state}`)
      .digest('hex');
    const trackingId = `${digest.slice(0, 2).toUpperCase()}-${digest.slice(2, 7)}-${randomInt(100_000_000, 1_000_000_000)}`;
    log('info', `parcel ${trackingId} is on its way to ${address?.city}`);
    return { trackingId };
  },
});
