/**
 * CNI folders of the cluster's nodes. They are the usual ones unless E2E_CNI_CONF_DIR, E2E_CNI_BIN_DIR and E2E_CNI_RUN_DIR name others, as k3s and others have
 * them.
 */
export const cniFolders = {
  config: process.env.E2E_CNI_CONF_DIR || '/etc/cni/net.d',
  programs: process.env.E2E_CNI_BIN_DIR || '/opt/cni/bin',
} as const;

/** What a user of a cluster with unusual folders adds to an installation with the CNI plugin; nothing where they are the usual ones. */
export const cniFolderFlags: readonly string[] = [
  ['values.cni.cniConfDir', process.env.E2E_CNI_CONF_DIR],
  ['values.cni.cniBinDir', process.env.E2E_CNI_BIN_DIR],
  ['values.cni.env.CNI_AGENT_RUN_DIR', process.env.E2E_CNI_RUN_DIR],
].flatMap(([name, value]) => (value ? ['--set', `${name}=${value}`] : []));
