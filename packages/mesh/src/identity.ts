/** SPIFFE identity of a Kubernetes service account (Istio documentation, "Security", "Istio identity"). */
export const spiffeIdentity = (trustDomain: string, namespace: string, serviceAccount: string): string =>
  `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`;
