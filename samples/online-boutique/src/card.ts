import type { CreditCardInfo } from './contract.ts';

/** True when the digits satisfy the Luhn check that card numbers carry. */
export function passesLuhn(digits: string): boolean {
  if (!/^\d{12,19}$/.test(digits)) return false;
  const sum = [...digits].reverse().reduce((total, digit, position) => {
    const value = Number(digit) * (position % 2 === 1 ? 2 : 1);
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}

/** Why a card cannot be charged, or undefined when it can. `now` decides whether it has expired. */
export function refusal(card: CreditCardInfo, now: Date): string | undefined {
  const digits = card.creditCardNumber.replaceAll(/[\s-]/g, '');
  if (!passesLuhn(digits)) return 'the card number is not valid';
  const network = digits.startsWith('4') ? 'visa' : /^(5[1-5]|2[2-7])/.test(digits) ? 'mastercard' : undefined;
  if (!network) return 'only Visa and MasterCard are accepted';
  const month = now.getUTCFullYear() * 12 + now.getUTCMonth() + 1;
  if (card.creditCardExpirationYear * 12 + card.creditCardExpirationMonth < month) {
    return `the card ending in ${digits.slice(-4)} expired on ${card.creditCardExpirationMonth}/${card.creditCardExpirationYear}`;
  }
  return undefined;
}
