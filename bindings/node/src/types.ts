/** The data that operations take and return. */

export type * from "./generated/inputs.js";
export * from "./generated/types.js";
export type { Branded, Page, Raw } from "./wire.js";
