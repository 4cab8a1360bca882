// Wizards that set a policy on the routes of a service: faults, timeouts and retries.
import {
  type Fields,
  fieldsOf,
  listOf,
  type MeshObject,
  numberOf,
  textOf,
  type WizardResult,
  type WizardService,
  withField,
} from './object.ts';
import { scopeNotes } from './traffic-shifting.ts';
import {
  changeRoutes,
  isDefault,
  leadsTo,
  newVirtualService,
  protocolOf,
  virtualServiceOf,
} from './virtual-service.ts';

/** Faults for a share of the requests; an undefined part is taken away. */
export interface FaultChoice {
  readonly delay?: { readonly percent: number; readonly duration: string };
  readonly abort?: { readonly percent: number; readonly httpStatus: number };
}

export interface TimeoutChoice {
  /** For the whole request with its retries; undefined: none. */
  readonly timeout?: string;
  readonly retries?: { readonly attempts: number; readonly perTryTimeout?: string; readonly retryOn?: string };
}

/** The first route of the service: what it says is what a form begins with. */
function presentRoute(service: WizardService, objects: readonly MeshObject[]): Fields {
  const virtual = virtualServiceOf(service, objects);
  if (!virtual) return {};
  const routes = listOf(virtual.spec.http).filter((route) => leadsTo(route, virtual.metadata.namespace, service));
  return routes.find(isDefault) ?? routes[0] ?? {};
}

function applyToRoutes(
  service: WizardService,
  objects: readonly MeshObject[],
  which: 'default' | 'all',
  change: (route: Fields) => Fields,
): WizardResult {
  const virtual = virtualServiceOf(service, objects) ?? newVirtualService(service);
  if (protocolOf(virtual) === 'tcp')
    return {
      objects: [],
      notes: [`VirtualService ${virtual.metadata.name} routes TCP: this policy is for HTTP and gRPC only.`],
    };
  const changed = changeRoutes(virtual, service, which, change);
  return { objects: [changed], notes: scopeNotes(changed) };
}

export function currentFault(service: WizardService, objects: readonly MeshObject[]): FaultChoice {
  const fault = fieldsOf(presentRoute(service, objects).fault);
  const delay = fieldsOf(fault.delay);
  const abort = fieldsOf(fault.abort);
  const percent = (part: Fields) => numberOf(fieldsOf(part.percentage).value) ?? 100;
  const duration = textOf(delay.fixedDelay);
  const httpStatus = numberOf(abort.httpStatus);
  return {
    ...(duration === undefined ? {} : { delay: { percent: percent(delay), duration } }),
    ...(httpStatus === undefined ? {} : { abort: { percent: percent(abort), httpStatus } }),
  };
}

/** Makes requests to the service slow or fail, at the proxies of its callers. */
export function injectFault(
  service: WizardService,
  objects: readonly MeshObject[],
  choice: FaultChoice,
  which: 'default' | 'all' = 'all',
): WizardResult {
  const { delay, abort } = choice;
  const fault: Fields = {
    ...(delay ? { delay: { percentage: { value: delay.percent }, fixedDelay: delay.duration } } : {}),
    ...(abort ? { abort: { percentage: { value: abort.percent }, httpStatus: abort.httpStatus } } : {}),
  };
  return applyToRoutes(service, objects, which, (route) =>
    withField(route, 'fault', delay || abort ? fault : undefined),
  );
}

export function currentTimeout(service: WizardService, objects: readonly MeshObject[]): TimeoutChoice {
  const route = presentRoute(service, objects);
  const timeout = textOf(route.timeout);
  const retries = fieldsOf(route.retries);
  const attempts = numberOf(retries.attempts);
  const perTryTimeout = textOf(retries.perTryTimeout);
  const retryOn = textOf(retries.retryOn);
  return {
    ...(timeout === undefined ? {} : { timeout }),
    ...(attempts === undefined
      ? {}
      : { retries: { attempts, ...(perTryTimeout ? { perTryTimeout } : {}), ...(retryOn ? { retryOn } : {}) } }),
  };
}

/** Sets how long requests may take and how often they are tried again. Fields of `retries` that the form does not have stay. */
export function setTimeouts(
  service: WizardService,
  objects: readonly MeshObject[],
  choice: TimeoutChoice,
  which: 'default' | 'all' = 'all',
): WizardResult {
  return applyToRoutes(service, objects, which, (route) => {
    const { retries } = choice;
    const kept = withField(
      withField(fieldsOf(route.retries), 'perTryTimeout', retries?.perTryTimeout),
      'retryOn',
      retries?.retryOn,
    );
    return withField(
      withField(route, 'timeout', choice.timeout),
      'retries',
      retries ? { ...kept, attempts: retries.attempts } : undefined,
    );
  });
}

/** A duration as the API takes it: `1.5s`, `200ms`, `1m30s`. */
export const isDuration = (text: string): boolean => /^(\d+(\.\d+)?(h|m|s|ms|us|ns))+$/.test(text);
