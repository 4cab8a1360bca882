// `npm run bench [idle]`: the running demo at rest. `npm run bench -- xds`: many simulated sidecars on one istiod (`--help` lists its flags). `npm run bench -- ca`: certificates per second.
const [which = 'idle'] = process.argv.slice(2);
switch (which) {
  case 'idle':
    await import('./idle.ts');
    break;
  case 'xds':
    await import('./xds/bench.ts');
    break;
  case 'ca':
    await import('./ca/bench.ts');
    break;
  default:
    console.log(`there is no benchmark '${which}': idle, xds or ca`);
    process.exitCode = 1;
}
