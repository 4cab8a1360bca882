import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { AgentSettings } from '../environment.ts';
import type { Json } from '../json.ts';
import { locality, nodeId, nodeMetadata } from '../node-metadata.ts';

/** What the control plane finds listeners of a gRPC server by. */
const SERVER_LISTENER = 'xds.istio.io/grpc/lds/inbound/%s';
/** gRPC reads the certificate's files again this often. */
const REFRESH = '900s';

/** The bootstrap of gRPC libraries that speak xDS (gRPC proposals A27 and A29): who the pod is, where its configuration and certificates are. */
export function renderGrpcBootstrap(settings: AgentSettings, version: string): Json {
  const directory = settings.certificates.outputDirectory;
  return {
    xds_servers: [
      {
        server_uri: `unix://${resolve(settings.grpc.socketFile)}`,
        channel_creds: [{ type: 'insecure' }],
        server_features: ['xds_v3'],
      },
    ],
    node: {
      id: nodeId(settings),
      metadata: { ...nodeMetadata(settings, version), GENERATOR: 'grpc' },
      locality: localityOf(settings),
    },
    ...(directory === ''
      ? {}
      : {
          certificate_providers: {
            default: {
              plugin_name: 'file_watcher',
              config: {
                certificate_file: `${directory}/cert-chain.pem`,
                private_key_file: `${directory}/key.pem`,
                ca_certificate_file: `${directory}/root-cert.pem`,
                refresh_interval: REFRESH,
              },
            },
          },
        }),
    server_listener_resource_name_template: SERVER_LISTENER,
  };
}

function localityOf(settings: AgentSettings): Json {
  const { region, zone, subZone } = locality(settings);
  return {
    ...(region === undefined ? {} : { region }),
    ...(zone === undefined ? {} : { zone }),
    ...(subZone === undefined ? {} : { sub_zone: subZone }),
  };
}

/** Writes the file as a whole, so that no application reads half of it. */
export function writeGrpcBootstrap(settings: AgentSettings, version: string): void {
  const file = settings.grpc.bootstrapFile;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.tmp`, JSON.stringify(renderGrpcBootstrap(settings, version), null, 2));
  chmodSync(`${file}.tmp`, 0o644);
  renameSync(`${file}.tmp`, file);
}
