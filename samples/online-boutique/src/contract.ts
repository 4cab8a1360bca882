import protobuf from 'protobufjs/light.js';

/**
 * The public service contract of Online Boutique (package `hipstershop`): message fields with their numbers and the methods of each service, so that
 * these programs and the public images understand one another.
 */
const messages = {
  Empty: {},
  CartItem: { productId: ['string', 1], quantity: ['int32', 2] },
  AddItemRequest: { userId: ['string', 1], item: ['CartItem', 2] },
  EmptyCartRequest: { userId: ['string', 1] },
  GetCartRequest: { userId: ['string', 1] },
  Cart: { userId: ['string', 1], items: ['CartItem', 2, 'repeated'] },
  ListRecommendationsRequest: { userId: ['string', 1], productIds: ['string', 2, 'repeated'] },
  ListRecommendationsResponse: { productIds: ['string', 1, 'repeated'] },
  Product: {
    id: ['string', 1],
    name: ['string', 2],
    description: ['string', 3],
    picture: ['string', 4],
    priceUsd: ['Money', 5],
    categories: ['string', 6, 'repeated'],
  },
  ListProductsResponse: { products: ['Product', 1, 'repeated'] },
  GetProductRequest: { id: ['string', 1] },
  SearchProductsRequest: { query: ['string', 1] },
  SearchProductsResponse: { results: ['Product', 1, 'repeated'] },
  GetQuoteRequest: { address: ['Address', 1], items: ['CartItem', 2, 'repeated'] },
  GetQuoteResponse: { costUsd: ['Money', 1] },
  ShipOrderRequest: { address: ['Address', 1], items: ['CartItem', 2, 'repeated'] },
  ShipOrderResponse: { trackingId: ['string', 1] },
  Address: {
    streetAddress: ['string', 1],
    city: ['string', 2],
    state: ['string', 3],
    country: ['string', 4],
    zipCode: ['int32', 5],
  },
  Money: { currencyCode: ['string', 1], units: ['int64', 2], nanos: ['int32', 3] },
  GetSupportedCurrenciesResponse: { currencyCodes: ['string', 1, 'repeated'] },
  CurrencyConversionRequest: { from: ['Money', 1], toCode: ['string', 2] },
  CreditCardInfo: {
    creditCardNumber: ['string', 1],
    creditCardCvv: ['int32', 2],
    creditCardExpirationYear: ['int32', 3],
    creditCardExpirationMonth: ['int32', 4],
  },
  ChargeRequest: { amount: ['Money', 1], creditCard: ['CreditCardInfo', 2] },
  ChargeResponse: { transactionId: ['string', 1] },
  OrderItem: { item: ['CartItem', 1], cost: ['Money', 2] },
  OrderResult: {
    orderId: ['string', 1],
    shippingTrackingId: ['string', 2],
    shippingCost: ['Money', 3],
    shippingAddress: ['Address', 4],
    items: ['OrderItem', 5, 'repeated'],
  },
  SendOrderConfirmationRequest: { email: ['string', 1], order: ['OrderResult', 2] },
  PlaceOrderRequest: {
    userId: ['string', 1],
    userCurrency: ['string', 2],
    address: ['Address', 3],
    email: ['string', 5],
    creditCard: ['CreditCardInfo', 6],
  },
  PlaceOrderResponse: { order: ['OrderResult', 1] },
  AdRequest: { contextKeys: ['string', 1, 'repeated'] },
  AdResponse: { ads: ['Ad', 1, 'repeated'] },
  Ad: { redirectUrl: ['string', 1], text: ['string', 2] },
} as const satisfies Record<string, Record<string, readonly [string, number] | readonly [string, number, 'repeated']>>;

export type MessageName = keyof typeof messages;

export interface Money {
  readonly currencyCode: string;
  readonly units: number;
  readonly nanos: number;
}
export interface CartItem {
  readonly productId: string;
  readonly quantity: number;
}
export interface Product {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly picture: string;
  readonly priceUsd: Money;
  readonly categories: readonly string[];
}
export interface Address {
  readonly streetAddress: string;
  readonly city: string;
  readonly state: string;
  readonly country: string;
  readonly zipCode: number;
}
export interface CreditCardInfo {
  readonly creditCardNumber: string;
  readonly creditCardCvv: number;
  readonly creditCardExpirationYear: number;
  readonly creditCardExpirationMonth: number;
}
export interface OrderItem {
  readonly item: CartItem;
  readonly cost: Money;
}
export interface OrderResult {
  readonly orderId: string;
  readonly shippingTrackingId: string;
  readonly shippingCost: Money;
  readonly shippingAddress: Address;
  readonly items: readonly OrderItem[];
}
export interface Ad {
  readonly redirectUrl: string;
  readonly text: string;
}

/** Request and response of every method, by service. */
export interface Contract {
  readonly CartService: {
    readonly AddItem: [{ readonly userId: string; readonly item: CartItem }, Record<string, never>];
    readonly GetCart: [{ readonly userId: string }, { readonly userId: string; readonly items: readonly CartItem[] }];
    readonly EmptyCart: [{ readonly userId: string }, Record<string, never>];
  };
  readonly RecommendationService: {
    readonly ListRecommendations: [
      { readonly userId: string; readonly productIds: readonly string[] },
      { readonly productIds: readonly string[] },
    ];
  };
  readonly ProductCatalogService: {
    readonly ListProducts: [Record<string, never>, { readonly products: readonly Product[] }];
    readonly GetProduct: [{ readonly id: string }, Product];
    readonly SearchProducts: [{ readonly query: string }, { readonly results: readonly Product[] }];
  };
  readonly ShippingService: {
    readonly GetQuote: [
      { readonly address: Address | null; readonly items: readonly CartItem[] },
      { readonly costUsd: Money },
    ];
    readonly ShipOrder: [
      { readonly address: Address | null; readonly items: readonly CartItem[] },
      { readonly trackingId: string },
    ];
  };
  readonly CurrencyService: {
    readonly GetSupportedCurrencies: [Record<string, never>, { readonly currencyCodes: readonly string[] }];
    readonly Convert: [{ readonly from: Money; readonly toCode: string }, Money];
  };
  readonly PaymentService: {
    readonly Charge: [
      { readonly amount: Money; readonly creditCard: CreditCardInfo },
      { readonly transactionId: string },
    ];
  };
  readonly EmailService: {
    readonly SendOrderConfirmation: [{ readonly email: string; readonly order: OrderResult }, Record<string, never>];
  };
  readonly CheckoutService: {
    readonly PlaceOrder: [
      {
        readonly userId: string;
        readonly userCurrency: string;
        readonly address: Address;
        readonly email: string;
        readonly creditCard: CreditCardInfo;
      },
      { readonly order: OrderResult },
    ];
  };
  readonly AdService: {
    readonly GetAds: [{ readonly contextKeys: readonly string[] }, { readonly ads: readonly Ad[] }];
  };
}
export type ServiceName = keyof Contract;

const methods: {
  readonly [S in ServiceName]: { readonly [M in keyof Contract[S]]: readonly [MessageName, MessageName] };
} = {
  CartService: {
    AddItem: ['AddItemRequest', 'Empty'],
    GetCart: ['GetCartRequest', 'Cart'],
    EmptyCart: ['EmptyCartRequest', 'Empty'],
  },
  RecommendationService: { ListRecommendations: ['ListRecommendationsRequest', 'ListRecommendationsResponse'] },
  ProductCatalogService: {
    ListProducts: ['Empty', 'ListProductsResponse'],
    GetProduct: ['GetProductRequest', 'Product'],
    SearchProducts: ['SearchProductsRequest', 'SearchProductsResponse'],
  },
  ShippingService: {
    GetQuote: ['GetQuoteRequest', 'GetQuoteResponse'],
    ShipOrder: ['ShipOrderRequest', 'ShipOrderResponse'],
  },
  CurrencyService: {
    GetSupportedCurrencies: ['Empty', 'GetSupportedCurrenciesResponse'],
    Convert: ['CurrencyConversionRequest', 'Money'],
  },
  PaymentService: { Charge: ['ChargeRequest', 'ChargeResponse'] },
  EmailService: { SendOrderConfirmation: ['SendOrderConfirmationRequest', 'Empty'] },
  CheckoutService: { PlaceOrder: ['PlaceOrderRequest', 'PlaceOrderResponse'] },
  AdService: { GetAds: ['AdRequest', 'AdResponse'] },
};

const root = protobuf.Root.fromJSON({
  nested: {
    hipstershop: {
      nested: Object.fromEntries(
        Object.entries(messages).map(([name, fields]) => [
          name,
          {
            fields: Object.fromEntries(
              Object.entries(fields as Record<string, readonly [string, number, 'repeated'?]>).map(
                ([field, [type, id, rule]]) => [field, rule ? { type, id, rule } : { type, id }],
              ),
            ),
          },
        ]),
      ),
    },
  },
});

function codec(message: MessageName): {
  readonly encode: (value: object) => Buffer;
  readonly decode: (bytes: Buffer) => object;
} {
  const type = root.lookupType(`hipstershop.${message}`);
  return {
    encode: (value) => Buffer.from(type.encode(type.fromObject(value)).finish()),
    decode: (bytes) => type.toObject(type.decode(bytes), { longs: Number, defaults: true, arrays: true }),
  };
}

export interface MethodDefinition {
  readonly path: string;
  readonly requestStream: false;
  readonly responseStream: false;
  readonly requestSerialize: (value: object) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => object;
  readonly responseSerialize: (value: object) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => object;
}

/** The definition of a service in the form that `@grpc/grpc-js` takes. */
export function definitionOf(service: ServiceName): Record<string, MethodDefinition> {
  return Object.fromEntries(
    Object.entries(methods[service] as Record<string, readonly [MessageName, MessageName]>).map(
      ([method, [request, response]]) => {
        const input = codec(request);
        const output = codec(response);
        return [
          method,
          {
            path: `/hipstershop.${service}/${method}`,
            requestStream: false,
            responseStream: false,
            requestSerialize: input.encode,
            requestDeserialize: input.decode,
            responseSerialize: output.encode,
            responseDeserialize: output.decode,
          },
        ];
      },
    ),
  );
}
