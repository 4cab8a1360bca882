import { status } from '@grpc/grpc-js';
import { rate, ratesPerEuro } from '../currency.ts';
import { portFrom } from '../environment.ts';
import { exchange } from '../money.ts';
import { RpcError, serve } from '../rpc.ts';

await serve('CurrencyService', portFrom(process.env, 7000), {
  GetSupportedCurrencies: async () => ({ currencyCodes: Object.keys(ratesPerEuro) }),
  Convert: async ({ from, toCode }) => {
    const factor = rate(from?.currencyCode ?? '', toCode);
    if (factor === undefined)
      throw new RpcError(
        status.INVALID_ARGUMENT,
        `cannot convert '${from?.currencyCode}' to '${toCode}': one of them is not a supported currency`,
      );
    return from.currencyCode === toCode ? from : exchange(from, factor, toCode);
  },
});
