import { randomUUID } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { refusal } from '../card.ts';
import { portFrom } from '../environment.ts';
import { log } from '../log.ts';
import { format } from '../money.ts';
import { RpcError, serve } from '../rpc.ts';

await serve('PaymentService', portFrom(process.env, 50051), {
  Charge: async ({ amount, creditCard }) => {
    const reason = refusal(creditCard, new Date());
    if (reason) throw new RpcError(status.INVALID_ARGUMENT, reason);
    const transactionId = randomUUID();
    log('info', `charged ${format(amount)}, transaction ${transactionId}`);
    return { transactionId };
  },
});
