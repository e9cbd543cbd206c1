/** Plain data: what survives `JSON.stringify` and back unchanged. Everything that crosses a process, a thread or the store is of this type. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/** Keeps state of a sink's or source's own making; durable when it resolves. */
export type SaveState = (state: Json) => Promise<void>
