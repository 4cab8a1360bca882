import { portFrom } from '../environment.ts';
import { log } from '../log.ts';
import { serve } from '../rpc.ts';

await serve('EmailService', portFrom(process.env, 8080), {
  // The sample sends no real mail.
  SendOrderConfirmation: async ({ email, order }) => {
    log('info', `confirmation of order ${order.orderId} for ${email}`);
    return {};
  },
});
