// A Helm repository: an archive for each chart, and the index that `helm repo add` reads.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dump, load } from 'js-yaml';
import { packFolder, sha256 } from './archive.mjs';

/** Packs every chart below `manifests`; returns the files. */
export function chartRepository({ manifests, out, baseUrl, seconds, work }) {
  mkdirSync(out, { recursive: true });
  const entries = {};
  const files = [];
  const charts = readdirSync(manifests).filter((name) => existsSync(join(manifests, name, 'Chart.yaml')));
  for (const folder of charts.sort()) {
    const metadata = load(readFileSync(join(manifests, folder, 'Chart.yaml'), 'utf8'));
    const staged = join(work, 'charts', metadata.name);
    cpSync(join(manifests, folder), staged, { recursive: true });
    const archive = join(out, `${metadata.name}-${metadata.version}.tgz`);
    packFolder(staged, archive, seconds);
    files.push(archive);
    const name = `${metadata.name}-${metadata.version}.tgz`;
    entries[metadata.name] = [
      {
        ...metadata,
        created: new Date(seconds * 1000).toISOString(),
        digest: sha256(archive),
        urls: [baseUrl === '' ? name : `${baseUrl.replace(/\/$/, '')}/charts/${name}`],
      },
    ];
  }
  const index = join(out, 'index.yaml');
  writeFileSync(
    index,
    dump({ apiVersion: 'v1', entries, generated: new Date(seconds * 1000).toISOString() }, { lineWidth: -1 }),
  );
  return [...files, index];
}
