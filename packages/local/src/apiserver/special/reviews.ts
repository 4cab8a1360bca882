import type { Call, SpecialHandler } from '../http/handler.ts';
import { sendJson } from '../http/respond.ts';
import { asArray, asObject, asString, isObject, type JsonObject } from '../json.ts';
import { timestamp } from '../object.ts';
import type { Attributes } from '../auth/rbac.ts';
import { DEFAULT_AUDIENCE } from '../auth/tokens.ts';
import type { User } from '../auth/user.ts';
import { badRequest, conflict, invalid, fieldError, methodNotAllowed } from '../status.ts';
import type { SpecialOptions } from './special.ts';

const strings = (value: unknown): string[] => asArray(value).filter((item): item is string => typeof item === 'string');

function userInfo(user: User): JsonObject {
  return {
    username: user.name,
    ...(user.uid === undefined ? {} : { uid: user.uid }),
    groups: user.groups,
    ...(user.extra === undefined ? {} : { extra: user.extra }),
  };
}

function attributesOf(spec: JsonObject): Attributes {
  const nonResource = spec.nonResourceAttributes;
  if (isObject(nonResource)) {
    return {
      verb: asString(nonResource.verb),
      group: '',
      resource: '',
      namespace: '',
      name: '',
      path: asString(nonResource.path) || '/',
    };
  }
  const resource = asObject(spec.resourceAttributes);
  const subresource = asString(resource.subresource);
  return {
    verb: asString(resource.verb),
    group: asString(resource.group),
    resource: `${asString(resource.resource)}${subresource === '' ? '' : `/${subresource}`}`,
    namespace: asString(resource.namespace),
    name: asString(resource.name),
    path: '',
  };
}

async function bodyOf(call: Call): Promise<JsonObject> {
  const body = await call.body();
  if (!isObject(body)) throw badRequest('the body of the request must be an object');
  return body;
}

/** The kinds of authentication.k8s.io and authorization.k8s.io, and `serviceaccounts/token`. */
export function reviewHandlers({ operations, authorizer, tokens }: SpecialOptions): [string, SpecialHandler][] {
  const answer = (call: Call, body: JsonObject, code = 201) => {
    const { definition, version } = call.target;
    sendJson(call.request, call.response, code, {
      kind: definition.kind,
      apiVersion: `${definition.group}/${version}`,
      metadata: { creationTimestamp: null, ...asObject(body.metadata) },
      ...(body.spec === undefined ? {} : { spec: body.spec }),
      status: body.status,
    });
  };
  const access = (subject: (call: Call, spec: JsonObject) => User): SpecialHandler => {
    return async (call) => {
      const body = await bodyOf(call);
      const spec = asObject(body.spec);
      const decision = authorizer.check(subject(call, spec), attributesOf(spec));
      answer(call, {
        ...body,
        status: { allowed: decision.allowed, ...(decision.reason === '' ? {} : { reason: decision.reason }) },
      });
    };
  };
  const named = (_call: Call, spec: JsonObject): User => ({
    name: asString(spec.user),
    groups: strings(spec.groups),
  });
  const tokenReview: SpecialHandler = async (call) => {
    const body = await bodyOf(call);
    const spec = asObject(body.spec);
    const audiences = strings(spec.audiences);
    const result = tokens.check(asString(spec.token), audiences.length === 0 ? [DEFAULT_AUDIENCE] : audiences);
    const status =
      'error' in result
        ? { user: {}, authenticated: false, error: result.error }
        : { authenticated: true, user: userInfo(result.user), audiences: result.audiences };
    answer(call, { ...body, status });
  };
  const rulesReview: SpecialHandler = async (call) => {
    const body = await bodyOf(call);
    const all: JsonObject[] = authorizer.rules(call.context.user, asString(asObject(body.spec).namespace));
    if (call.context.user.groups.includes('system:masters'))
      all.push({ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }, { verbs: ['*'], nonResourceURLs: ['*'] });
    const resourceRules = all.filter((rule) => asArray(rule.resources).length > 0);
    const nonResourceRules = all.filter((rule) => asArray(rule.nonResourceURLs).length > 0);
    answer(call, { ...body, status: { resourceRules, nonResourceRules, incomplete: false } });
  };
  const tokenRequest: SpecialHandler = async (call) => {
    if (call.request.method !== 'POST') throw methodNotAllowed();
    const { target } = call;
    const account = operations.stored({ ...target, subresource: '' });
    const body = await call.body();
    const spec = asObject(asObject(body).spec);
    const audiences = strings(spec.audiences);
    const seconds = spec.expirationSeconds;
    if (typeof seconds === 'number' && seconds < 600) {
      throw invalid('authentication.k8s.io', 'TokenRequest', '', [
        fieldError.invalid('spec.expirationSeconds', seconds, 'may not specify a duration less than 10 minutes'),
      ]);
    }
    const expirationSeconds = Math.min(typeof seconds === 'number' ? seconds : 3600, 2 ** 32);
    const reference = spec.boundObjectRef;
    let bound: { kind: string; name: string; uid: string } | undefined;
    let node: { name: string; uid: string } | undefined;
    if (isObject(reference)) {
      const kind = asString(reference.kind);
      const name = asString(reference.name);
      const key = kind === 'Pod' ? '/pods' : kind === 'Secret' ? '/secrets' : kind === 'Node' ? '/nodes' : undefined;
      if (key === undefined) throw badRequest(`cannot bind token for type ${kind}`);
      const found = operations.store.get(key, kind === 'Node' ? '' : target.namespace, name);
      const uid = asString(reference.uid);
      if (found === undefined || (uid !== '' && uid !== found.metadata.uid)) {
        throw conflict(
          { group: '', resource: key.slice(1) },
          name,
          `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
        );
      }
      bound = { kind, name, uid: found.metadata.uid };
      const nodeName = asString(asObject(found.spec).nodeName);
      const nodeObject = kind === 'Pod' && nodeName !== '' ? operations.store.get('/nodes', '', nodeName) : undefined;
      if (nodeObject !== undefined) node = { name: nodeName, uid: nodeObject.metadata.uid };
    }
    const { token, expiresAt } = tokens.issue({
      namespace: target.namespace,
      serviceAccount: target.name,
      serviceAccountUid: account.metadata.uid,
      audiences: audiences.length === 0 ? [DEFAULT_AUDIENCE] : audiences,
      expirationSeconds,
      ...(bound === undefined ? {} : { bound }),
      ...(node === undefined ? {} : { node }),
    });
    sendJson(call.request, call.response, 201, {
      kind: 'TokenRequest',
      apiVersion: 'authentication.k8s.io/v1',
      metadata: { name: target.name, namespace: target.namespace, creationTimestamp: timestamp(operations.now()) },
      spec: {
        audiences: audiences.length === 0 ? [DEFAULT_AUDIENCE] : audiences,
        expirationSeconds,
        boundObjectRef: isObject(reference) ? reference : null,
      },
      status: { token, expirationTimestamp: timestamp(expiresAt) },
    });
  };
  return [
    ['authentication.k8s.io/tokenreviews', tokenReview],
    [
      'authentication.k8s.io/selfsubjectreviews',
      async (call) => answer(call, { status: { userInfo: userInfo(call.context.user) } }),
    ],
    ['authorization.k8s.io/subjectaccessreviews', access(named)],
    ['authorization.k8s.io/localsubjectaccessreviews', access(named)],
    ['authorization.k8s.io/selfsubjectaccessreviews', access((call) => call.context.user)],
    ['authorization.k8s.io/selfsubjectrulesreviews', rulesReview],
    ['/serviceaccounts/token', tokenRequest],
  ];
}
