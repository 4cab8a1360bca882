import type { ProxyView } from '@istio-ts/xds';

type Listener = (changed: ReadonlySet<string>) => void;

/** The part of a view that a layer over another view needs for changes of its own. */
export interface LayerChanges {
  /** Tells of changes of the view below and of the layer; gives what ends that. */
  readonly onChange: ProxyView['onChange'];
  /** Tells that the layer changed resources of these types. */
  readonly announce: (changed: ReadonlySet<string>) => void;
  /** Ends the layer's own changes. */
  readonly clear: () => void;
}

/** Changes of a layer over `view`. */
export function layerChanges(view: ProxyView): LayerChanges {
  const listeners = new Set<Listener>();
  return {
    onChange: (listener) => {
      listeners.add(listener);
      const end = view.onChange(listener);
      return () => {
        listeners.delete(listener);
        end();
      };
    },
    announce: (changed) => {
      for (const listener of [...listeners]) listener(changed);
    },
    clear: () => listeners.clear(),
  };
}
