import { randomUUID } from 'node:crypto';
import type { ObjectStore } from '../../store/object-store.ts';
import { convert } from '../conversion.ts';
import { asArray, asNumber, asObject, asObjects, asString, clone, equal, isObject, type JsonObject } from '../json.ts';
import { type ApiObject, apiVersionOf } from '../object.ts';
import type { Admission, AdmissionRequest } from '../operations/admission.ts';
import { applyJsonPatch } from '../patch/json-patch.ts';
import type { ResourceRegistry } from '../registry.ts';
import { ApiError } from '../status.ts';
import { callWebhook, type DialService } from './call.ts';
import { matchConditions } from './conditions.ts';
import { validateByPolicies } from './policies.ts';
import { concerned, namespaceMatches, objectMatches } from './rules.ts';
import { admitPodDefaults, admitServiceAccount } from './service-account.ts';

export interface AdmissionOptions {
  readonly store: ObjectStore;
  readonly registry: ResourceRegistry;
  readonly dialService: DialService | undefined;
  readonly log: (line: string) => void;
}

const MUTATING = 'admissionregistration.k8s.io/mutatingwebhookconfigurations';
const VALIDATING = 'admissionregistration.k8s.io/validatingwebhookconfigurations';

/** Kinds that webhooks never see, so that a broken webhook can always be removed. */
const EXEMPT_GROUPS = new Set(['authentication.k8s.io', 'authorization.k8s.io']);
const EXEMPT_KINDS = new Set([
  'MutatingWebhookConfiguration',
  'ValidatingWebhookConfiguration',
  'ValidatingAdmissionPolicy',
  'ValidatingAdmissionPolicyBinding',
]);

interface Webhook {
  readonly configuration: string;
  readonly webhook: JsonObject;
}

interface Answer {
  readonly allowed: boolean;
  readonly status: JsonObject;
  readonly patch: unknown;
  readonly warnings: readonly string[];
}

/** The built-in admission plug-ins and the webhooks and policies that the cluster's users have registered. */
export class AdmissionChain implements Admission {
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  async mutate(request: AdmissionRequest): Promise<ApiObject | undefined> {
    const { store } = this.#options;
    let object = admitPodDefaults({ ...request, object: admitServiceAccount(request, store) }, store);
    const webhooks = this.#webhooks(MUTATING, request);
    if (webhooks.length === 0) return object;
    const again: Webhook[] = [];
    let changedSince = false;
    for (const webhook of webhooks) {
      const before = object;
      object = await this.#mutateOnce(webhook, { ...request, object });
      if (object !== before) changedSince = true;
      if (webhook.webhook.reinvocationPolicy === 'IfNeeded') again.push(webhook);
    }
    // Built-in plug-ins see what the webhooks added, for example containers that need a token.
    const completed = admitServiceAccount({ ...request, object }, store);
    if (!equal(completed, object)) {
      object = completed;
      changedSince = true;
    }
    if (changedSince && webhooks.length > 1)
      for (const webhook of again) object = await this.#mutateOnce(webhook, { ...request, object });
    return object;
  }

  async #mutateOnce(webhook: Webhook, request: AdmissionRequest): Promise<ApiObject | undefined> {
    const answer = await this.#ask(webhook, request);
    if (answer === undefined) return request.object;
    this.#requireAllowed(webhook, answer);
    if (answer.patch === undefined || request.object === undefined) return request.object;
    const patched = applyJsonPatch(clone(request.object), answer.patch);
    if (!isObject(patched) || !isObject(patched.metadata)) {
      throw new ApiError(
        500,
        'InternalError',
        `Internal error occurred: admission webhook ${JSON.stringify(asString(webhook.webhook.name))} returned a patch that does not give an object`,
      );
    }
    return patched as ApiObject;
  }

  async validate(request: AdmissionRequest): Promise<void> {
    protectNamespaces(request);
    validateByPolicies(request, this.#options.store);
    const webhooks = this.#webhooks(VALIDATING, request);
    const answers = await Promise.all(
      webhooks.map(async (webhook) => ({ webhook, answer: await this.#ask(webhook, request) })),
    );
    for (const { webhook, answer } of answers) if (answer !== undefined) this.#requireAllowed(webhook, answer);
  }

  #webhooks(key: string, request: AdmissionRequest): Webhook[] {
    const { definition } = request.target;
    if (EXEMPT_GROUPS.has(definition.group) || EXEMPT_KINDS.has(definition.kind)) return [];
    const { store } = this.#options;
    const found: Webhook[] = [];
    for (const configuration of store.list(key)) {
      for (const webhook of asObjects(configuration.webhooks)) {
        if (concerned(webhook.rules, request, webhook.matchPolicy) === undefined) continue;
        if (
          !namespaceMatches(webhook.namespaceSelector, request, store) ||
          !objectMatches(webhook.objectSelector, request)
        )
          continue;
        found.push({ configuration: configuration.metadata.name, webhook });
      }
    }
    return found;
  }

  /** Undefined when the webhook has nothing to say: its conditions do not match, or it failed and may be ignored. */
  async #ask({ webhook }: Webhook, request: AdmissionRequest): Promise<Answer | undefined> {
    const name = asString(webhook.name);
    const ignore = webhook.failurePolicy === 'Ignore';
    try {
      if (!matchConditions(webhook.matchConditions, request, this.#options.store)) return undefined;
      if (request.context.dryRun && webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun') {
        throw new ApiError(400, 'BadRequest', `admission webhook ${JSON.stringify(name)} does not support dry run`);
      }
      const uid = randomUUID();
      const seconds = asNumber(webhook.timeoutSeconds, 10);
      const version = concerned(webhook.rules, request, webhook.matchPolicy) ?? request.target.version;
      const review = {
        kind: 'AdmissionReview',
        apiVersion: 'admission.k8s.io/v1',
        request: reviewRequest(request, uid, version),
      };
      const answer = await callWebhook(
        asObject(webhook.clientConfig),
        review,
        seconds,
        this.#options.store,
        this.#options.dialService,
      );
      return this.#read(answer, uid, name, request);
    } catch (error) {
      if (error instanceof ApiError && error.code === 400) throw error;
      const why = error instanceof Error ? error.message : String(error);
      if (ignore) {
        this.#options.log(`admission webhook ${name} failed and is ignored: ${why}`);
        return undefined;
      }
      throw new ApiError(
        500,
        'InternalError',
        `Internal error occurred: failed calling webhook ${JSON.stringify(name)}: failed to call webhook: ${why}`,
        {
          causes: [{ message: `failed calling webhook ${JSON.stringify(name)}: failed to call webhook: ${why}` }],
        },
      );
    }
  }

  #read(answer: JsonObject, uid: string, name: string, request: AdmissionRequest): Answer {
    const response = asObject(answer.response);
    if (response.uid !== uid)
      throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid)}`);
    const warnings = asArray(response.warnings).map(String);
    request.context.warnings.push(...warnings);
    const encoded = response.patch;
    let patch: unknown;
    if (typeof encoded === 'string' && encoded !== '') {
      if (response.patchType !== 'JSONPatch')
        throw new Error(
          `webhook ${name} returned patch type ${JSON.stringify(response.patchType)}, expected "JSONPatch"`,
        );
      patch = JSON.parse(Buffer.from(encoded, 'base64').toString('utf8'));
    }
    return { allowed: response.allowed === true, status: asObject(response.status), patch, warnings };
  }

  #requireAllowed({ webhook }: Webhook, answer: Answer): void {
    if (answer.allowed) return;
    const name = JSON.stringify(asString(webhook.name));
    const message = asString(answer.status.message);
    const reason = asString(answer.status.reason);
    const text = message !== '' ? `: ${message}` : reason !== '' ? `: ${reason}` : ' without explanation';
    const code = asNumber(answer.status.code, 0);
    const refusal = `admission webhook ${name} denied the request${text}`;
    throw new ApiError(
      code >= 400 && code < 600 ? code : 403,
      reason === '' ? 'Forbidden' : reason,
      refusal,
      isObject(answer.status.details) ? answer.status.details : undefined,
    );
  }
}

/** The namespaces that a cluster cannot be without. */
function protectNamespaces(request: AdmissionRequest): void {
  const { definition, name } = request.target;
  if (request.operation !== 'DELETE' || definition.kind !== 'Namespace' || definition.group !== '') return;
  if (['default', 'kube-system', 'kube-public'].includes(name)) {
    throw new ApiError(
      403,
      'Forbidden',
      `namespaces ${JSON.stringify(name)} is forbidden: this namespace may not be deleted`,
      { name, kind: 'namespaces' },
    );
  }
}

export function reviewRequest(request: AdmissionRequest, uid: string, version = request.target.version): JsonObject {
  const { target, context } = request;
  const { definition } = target;
  const kindIn = (inVersion: string) => ({ group: definition.group, version: inVersion, kind: definition.kind });
  const resourceIn = (inVersion: string) => ({
    group: definition.group,
    version: inVersion,
    resource: definition.resource,
  });
  const shown = (object: ApiObject | undefined) =>
    object === undefined
      ? null
      : object.apiVersion === apiVersionOf(definition.group, version)
        ? object
        : convert(object, definition, version);
  return {
    uid,
    kind: kindIn(version),
    resource: resourceIn(version),
    ...(target.subresource === '' ? {} : { subResource: target.subresource, requestSubResource: target.subresource }),
    requestKind: kindIn(target.version),
    requestResource: resourceIn(target.version),
    ...(target.name === '' ? {} : { name: target.name }),
    ...(definition.kind === 'Namespace' && definition.group === ''
      ? { namespace: target.name }
      : target.namespace === ''
        ? {}
        : { namespace: target.namespace }),
    operation: request.operation,
    userInfo: {
      username: context.user.name,
      ...(context.user.uid === undefined ? {} : { uid: context.user.uid }),
      groups: context.user.groups,
      ...(context.user.extra === undefined ? {} : { extra: context.user.extra }),
    },
    object: shown(request.object),
    oldObject: shown(request.oldObject),
    dryRun: context.dryRun,
    options: request.options,
  };
}
