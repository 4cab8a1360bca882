import type { MeshConfig } from '@istio-ts/api';
import { asDecoded } from '@istio-ts/gotemplate';
import type { KubeObject } from '@istio-ts/kube/object';
import { parseManifests } from '@istio-ts/kube/manifests';
import type { InjectionConfig } from './config.ts';
import { InjectionError } from './errors.ts';
import { goView } from './go-view.ts';
import { objectAt } from './json.ts';
import { ownSettings, proxyImage } from './proxy-settings.ts';
import { execute, withData } from './render.ts';

/** A Gateway (gateway.networking.k8s.io) that the mesh runs proxies for. */
export interface GatewayToDeploy {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  /** Name of the Deployment and of the Service. */
  readonly deploymentName: string;
  readonly serviceAccount: string;
  /** Of `spec.infrastructure`. */
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly ports: readonly { readonly name: string; readonly port: number; readonly appProtocol: string }[];
}

/** Renders a template that stands for a Gateway, such as `waypoint`, into its objects. Throws `InjectionError`. */
export function renderGatewayObjects(
  template: string,
  gateway: GatewayToDeploy,
  mesh: { readonly config: InjectionConfig; readonly meshConfig: MeshConfig; readonly revision: string },
): readonly KubeObject[] {
  const { config, meshConfig } = mesh;
  const subject = `Gateway ${gateway.namespace}/${gateway.name}`;
  if (!Object.hasOwn(config.templates, template))
    throw new InjectionError(subject, '', `there is no injection template ${JSON.stringify(template)}`);
  const settings = meshConfig.defaultConfig;
  const image = objectAt(config.values, 'global', 'proxy').image;
  const text = execute(
    template,
    config.templates[template],
    {
      Name: gateway.name,
      Namespace: gateway.namespace,
      UID: gateway.uid,
      DeploymentName: gateway.deploymentName,
      ServiceAccount: gateway.serviceAccount,
      InfrastructureLabels: asDecoded(gateway.labels),
      InfrastructureAnnotations: asDecoded(gateway.annotations),
      Ports: goView(gateway.ports),
      ServiceType: '',
      ControllerLabel: template === 'waypoint' ? 'istio.io-mesh-controller' : 'istio.io-gateway-controller',
      ClusterID: '',
      Revision: mesh.revision,
      ProxyImage: proxyImage(config.values, image, gateway.annotations, settings),
      ProxyUID: 1337,
      ProxyGID: 1337,
      ProxyConfig: withData(goView(settings), ownSettings(settings)),
      MeshConfig: goView(meshConfig),
      Values: asDecoded(config.values),
    },
    subject,
  );
  try {
    return parseManifests(text, `template ${template}`);
  } catch (error) {
    throw new InjectionError(
      subject,
      '',
      `injection template ${template} does not render to objects: ${error instanceof Error ? error.message : String(error)}`,
      error,
    );
  }
}
