/** Version of the product: what `istioctl version`, node metadata and image tags say. */
export const VERSION = '1.30.0';
/** Where images come from when nothing else is said. */
export const DEFAULT_HUB = 'docker.io/istio';
