/** Commands to hand to `transact`, which runs several in one commit. */

export { Command } from "./calls.js";
export * from "./generated/commands.js";
