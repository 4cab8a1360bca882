/**
 * Envoy puts `envoy_` before every name. Istio's metrics come from Envoy's own access logger and are called `istio_…`, so the
 * prefix goes, as do the namespaces that custom metrics may be kept under (notes on stock Envoy, "Name on the Prometheus endpoint").
 */
const ISTIO_NAME = /^(# (?:TYPE|HELP) )?envoy_(?:(?:wasmcustom|istiocustom)_)?(?=istio_)/gm;
const CUSTOM_NAME = /^(# (?:TYPE|HELP) )?envoy_(?=(?:wasmcustom|istiocustom)_)/gm;

/** Renames in a text of whole lines. */
export function istioMetricNames(text: string): string {
  if (!text.includes('envoy_istio') && !text.includes('envoy_wasmcustom')) return text;
  return text.replace(ISTIO_NAME, '$1').replace(CUSTOM_NAME, '$1');
}

/** The longest line kept while waiting for its end; Envoy's are below 10 KB. */
const MAX_LINE = 1 << 20;

/** Cuts a stream of chunks into texts of whole lines, so that a name is never split. */
export class LineChunks {
  #rest = '';

  /** Whole lines that this chunk completes, with their ends; possibly empty. */
  push(chunk: Buffer): string {
    const text = this.#rest + chunk.toString('latin1');
    const end = text.lastIndexOf('\n') + 1;
    if (end === 0 && text.length > MAX_LINE) {
      this.#rest = '';
      return '';
    }
    this.#rest = text.slice(end);
    return text.slice(0, end);
  }

  /** What is left at the end, as a whole line. */
  end(): string {
    const rest = this.#rest;
    this.#rest = '';
    return rest === '' ? '' : `${rest}\n`;
  }
}
