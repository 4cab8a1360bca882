/**
 * What Istio's metrics show where there is no value (Istio Standard Metrics): Envoy writes an empty label there. `grpc_response_status` stays empty,
 * which to Prometheus is the same as no label, for requests that are not gRPC.
 */
const SHOWN: Readonly<Record<string, string>> = {
  source_canonical_revision: 'latest',
  destination_canonical_revision: 'latest',
  response_code: '0',
  response_flags: '-',
  grpc_response_status: '',
};
const SHOWN_OTHERWISE = 'unknown';

/** Lines of Istio's metrics with an empty label. A quotation mark inside a value has a backslash before it, so two in a row are an empty value. */
const LINE = /^istio_[^\n]*=""[^\n]*$/gm;
const EMPTY = /(\w+)=""/g;

/** Puts values for missing ones into a text of whole lines whose metrics have Istio's names. */
export function fillMissingLabels(text: string): string {
  return text.replace(LINE, (line) =>
    line.replace(EMPTY, (_, label: string) => `${label}="${SHOWN[label] ?? SHOWN_OTHERWISE}"`),
  );
}
