/** The path below which the application is served: the folder of its own script, with a slash at the end. */
export const base = new URL('.', import.meta.url).pathname;
