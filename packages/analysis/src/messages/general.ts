import { quoted, type } from './message-type.ts';

/** What is missing, in words for each sort of reference; other sorts are named as they are. */
function notFound({ reftype, refval }: { readonly reftype: string; readonly refval: string }): string {
  switch (reftype) {
    case 'selector':
      return `The selector ${refval} matches no pod.`;
    case 'host':
      return `There is no service ${quoted(refval)} that can be seen from here.`;
    case 'host:port':
      return `The service has no such port: ${quoted(refval)}.`;
    case 'host+subset in destinationrule':
      return `No DestinationRule defines this subset of the service: ${quoted(refval)}.`;
    case 'gateway':
      return `There is no gateway ${quoted(refval)}.`;
    case 'credentialName':
      return `There is no secret ${quoted(refval)} where the pods of the gateway look for it.`;
    default:
      return `This refers to the ${reftype} ${quoted(refval)}, which does not exist.`;
  }
}

/** About any object: its schema, its annotations, what it refers to, and the analysis itself. */
export const GENERAL_MESSAGES = {
  InternalError: type<{ detail: string }>(
    'IST0001',
    'Error',
    ({ detail }) => `The analysis itself failed here; that is a bug of istioctl, please report it: ${detail}`,
  ),
  Deprecated: type<{ detail: string }>('IST0002', 'Warning', ({ detail }) => `Deprecated: ${detail}`),
  ReferencedResourceNotFound: type<{ reftype: string; refval: string }>('IST0101', 'Error', notFound),
  SchemaValidationError: type<{ err: string }>('IST0106', 'Error', ({ err }) => `Invalid configuration: ${err}`),
  MisplacedAnnotation: type<{ annotation: string; kind: string }>(
    'IST0107',
    'Warning',
    ({ annotation, kind }) => `The annotation ${annotation} has no effect on a ${kind}; it belongs on another kind.`,
  ),
  UnknownAnnotation: type<{ annotation: string }>(
    'IST0108',
    'Warning',
    ({ annotation }) => `Istio knows no annotation ${annotation}. Is it misspelt?`,
  ),
  InvalidAnnotation: type<{ annotation: string; problem: string }>(
    'IST0125',
    'Warning',
    ({ annotation, problem }) => `The value of the annotation ${annotation} is not valid: ${problem}`,
  ),
  UnknownMeshNetworksServiceRegistry: type<{ serviceregistry: string; network: string }>(
    'IST0126',
    'Error',
    ({ serviceregistry, network }) =>
      `The network ${network} of the mesh networks refers to the registry ${quoted(serviceregistry)}, which is none of the known clusters.`,
  ),
  SchemaWarning: type<{ err: string }>('IST0133', 'Warning', ({ err }) => `Questionable configuration: ${err}`),
  DeprecatedAnnotation: type<{ annotation: string; extra: string }>(
    'IST0135',
    'Info',
    ({ annotation, extra }) =>
      `The annotation ${annotation} is deprecated and may stop working in a later release.${extra === '' ? '' : ` ${extra.trim()}`}`,
  ),
  AlphaAnnotation: type<{ annotation: string }>(
    'IST0136',
    'Info',
    ({ annotation }) => `The annotation ${annotation} belongs to a feature of alpha quality: not for production.`,
  ),
  InvalidWebhook: type<{ error: string }>('IST0139', 'Error', ({ error }) => `The webhook does not work: ${error}`),
  InsufficientPermissions: type<{ resource: string; error: string }>(
    'IST0141',
    'Error',
    ({ resource, error }) => `${resource} could not be read, so what depends on them was not checked: ${error}`,
  ),
  UnsupportedKubernetesVersion: type<{ version: string; minimumVersion: string }>(
    'IST0142',
    'Error',
    ({ version, minimumVersion }) =>
      `Kubernetes ${version} is older than ${minimumVersion}, the oldest version that this release supports.`,
  ),
  InvalidExternalControlPlaneConfig: type<{ hostname: string; webhook: string; msg: string }>(
    'IST0163',
    'Warning',
    ({ hostname, webhook, msg }) =>
      `The webhook ${webhook} calls the external control plane at ${quoted(hostname)}, which does not work${msg === '' ? '.' : `: ${msg}`}`,
  ),
  ExternalControlPlaneAddressIsNotAHostname: type<{ hostname: string; webhook: string }>(
    'IST0164',
    'Info',
    ({ hostname, webhook }) =>
      `The webhook ${webhook} calls the external control plane by its address ${hostname}; a host name survives a change of the address.`,
  ),
  UnknownUpgradeCompatibility: type<{ field: string; release: string; info: string; compatVersion: string }>(
    'IST0168',
    'Warning',
    ({ field, release, info, compatVersion }) =>
      `The meaning of ${field} changes in release ${release}: ${info} Whether it matters here cannot be told; --set compatibilityVersion=${compatVersion} keeps the old behaviour.`,
  ),
  UpdateIncompatibility: type<{ field: string; release: string; info: string; compatVersion: string }>(
    'IST0169',
    'Warning',
    ({ field, release, info, compatVersion }) =>
      `The meaning of ${field} changes in release ${release}: ${info} --set compatibilityVersion=${compatVersion} keeps the old behaviour.`,
  ),
  NegativeConditionStatus: type<{ conditionType: string; reason: string; message: string }>(
    'IST0171',
    'Warning',
    ({ conditionType, reason, message }) =>
      `The condition ${conditionType} says that something is wrong${reason === '' ? '' : ` (${reason})`}: ${message}`,
  ),
} as const;
