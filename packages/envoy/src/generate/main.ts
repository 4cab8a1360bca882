// Writes packages/envoy/generated: the descriptors of every message that Envoy and Istio exchange, and their types.
// Run by `npm run generate -w packages/envoy [-- /path/to/envoy]`.
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { requireEnvoy } from '../testing/binary.ts';
import { carveFileDescriptors, readElfSection } from './carve.ts';
import { parseProto, resolveTypeNames } from './proto-text.ts';
import { trimFiles, typeKinds } from './trim.ts';
import { writeTypes } from './types.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const binary = process.argv[2] ?? requireEnvoy();

const carved = carveFileDescriptors(readElfSection(binary, 'protodesc_cold')).map((bytes) =>
  fromBinary(FileDescriptorProtoSchema, bytes),
);
const own = globSync('**/*.proto', { cwd: `${root}/proto` })
  .sort()
  .map((path) => parseProto(path, readFileSync(`${root}/proto/${path}`, 'utf8')));
const ownNames = new Set(own.map((file) => file.name));
const seen = new Set<string>();
const files = [...own, ...carved.filter((file) => !ownNames.has(file.name))].filter((file) => {
  const isNew = !seen.has(file.name);
  seen.add(file.name);
  return isNew;
});
const kinds = typeKinds(files);
for (const file of own) resolveTypeNames(file, kinds);

const ROOT_PACKAGES =
  /^(envoy\..*\.v3(\..*)?|envoy\.data\..*|xds\..*|udpa\.type\.v1|google\.rpc|istio\..*|grpc\..*|opentelemetry\.proto\.collector\.(trace|logs)\.v1|skywalking\.v3|jaeger\.api_v2)$/;
// The metrics service speaks of Prometheus' proto2 messages; nothing here uses it.
const EXCLUDED_PACKAGES = new Set(['envoy.service.metrics.v3', 'grpc.gcp']);
const trimmed = trimFiles(files, (name) => ROOT_PACKAGES.test(name) && !EXCLUDED_PACKAGES.has(name));
const odd = trimmed.filter((file) => file.syntax !== 'proto3');
if (odd.length > 0) throw new Error(`not proto3: ${odd.map((file) => file.name).join(', ')}`);

const set = toBinary(FileDescriptorSetSchema, create(FileDescriptorSetSchema, { file: trimmed }));
writeFileSync(`${root}/generated/descriptors.binpb`, set);
const types = writeTypes(trimmed);
writeFileSync(`${root}/generated/types.d.ts`, types.text);
console.log(
  `${carved.length} files in ${binary}, ${own.length} of our own; ${trimmed.length} kept: ${set.length} bytes, ${types.messages} messages`,
);
