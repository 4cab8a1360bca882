// The package for `npm install -g`: the built programs, the launcher, and what the local cluster needs to get ready.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packFolder } from './archive.mjs';

export function npmPackage({ root, dist, version, out, seconds, work }) {
  const own = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  // npm expects everything below a folder named "package".
  const target = join(work, 'npm', 'package');
  mkdirSync(join(target, 'scripts'), { recursive: true });
  mkdirSync(join(target, 'bin'), { recursive: true });
  cpSync(dist, join(target, 'dist'), { recursive: true, filter: (path) => !path.endsWith('.map') });
  cpSync(join(root, 'bin', 'istioctl'), join(target, 'bin', 'istioctl'));
  cpSync(join(root, 'scripts', 'prepare.mjs'), join(target, 'scripts', 'prepare.mjs'));
  for (const file of ['LICENSE', 'README.md']) cpSync(join(root, file), join(target, file));
  const { description, license, engines, optionalDependencies } = own;
  writeFileSync(
    join(target, 'package.json'),
    `${JSON.stringify({ name: own.name, version, description, license, type: 'module', engines, os: ['linux'], bin: { istioctl: 'bin/istioctl' }, optionalDependencies }, null, 2)}\n`,
  );
  const archive = join(out, `${own.name}-${version}.tgz`);
  packFolder(target, archive, seconds);
  return [archive];
}
