/** How istiod is started: shared with the images for real clusters. */
export { ISTIOD_MALLOC, ISTIOD_NODE_FLAGS } from '@istio-ts/images/programs';
