// Files that programs read at run time: where they are in the sources, and where below dist/data they go.
export const dataFolders = [
  { from: 'packages/charts/manifests', to: 'manifests' },
  { from: 'packages/envoy/generated/descriptors.binpb', to: 'descriptors.binpb' },
  { from: 'addons/dashboards', to: 'dashboards' },
];
