declare module 'postject' {
  const postject: {
    /** Adds `data` to the program `file` as a note called `name`. */
    inject(file: string, name: string, data: Buffer, options: { readonly sentinelFuse: string }): Promise<void>;
  };
  export default postject;
}
