/** What the surroundings of a build are. */
export interface Surroundings {
  /** The repository. */
  readonly root: string;
  /** Folder of this project's own files, ISTIO_TS_HOME. */
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  /** Version of Envoy that the rest of the project uses. */
  readonly envoyVersion: string;
  /** Time of the images' creation, in seconds since 1970. */
  readonly seconds: number;
  /** Commit of the sources; '' when unknown. */
  readonly revision: string;
  /** Whether the sources differ from the commit. */
  readonly modified: boolean;
  /** Bundles the programs; gives the folder with `bin` and `data`. */
  readonly build: () => Promise<string>;
  /** Results, for other programs to read. */
  readonly out: (text: string) => void;
  /** What is going on, for people. */
  readonly progress: (line: string) => void;
}
