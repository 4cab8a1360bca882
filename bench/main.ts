// `npm run bench [idle]`: the running demo at rest. `npm run bench -- xds`: many simulated sidecars on one istiod (`--help` lists its flags).
const [which = 'idle'] = process.argv.slice(2);
switch (which) {
  case 'idle':
    await import('./idle.ts');
    break;
  case 'xds':
    await import('./xds/bench.ts');
    break;
  default:
    console.log(`there is no benchmark '${which}': idle or xds`);
    process.exitCode = 1;
}
