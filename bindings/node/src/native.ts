/** The compiled engine handle: what it looks like, and where it lies. Not an API: use `open`. */

import { artefact } from "./artefact.js";

/** What became of a delivery: so many events of a durable one are done, and why the next one is not. */
export interface Settled {
  token: number;
  done: number;
  error?: string;
}

/** A clock that stands still until it is told to move. */
export interface NativeClock {
  now(): number;
  advance(micros: number): void;
}

/** The handle of an open engine. */
export interface NativeEngine {
  listen(bell: () => void): void;
  submit(token: number, operation: string, input: string, context: string): void;
  cancel(token: number): Promise<void>;
  subscribe(token: number, options: string): Promise<void>;
  drain(settled: Settled[]): string[];
  report(token: number, job: string, outcome?: string): void;
  close(): Promise<void>;
  closeNow(): void;
}

/** A copy of an installation that is under way. */
export interface NativeCopying {
  wait(): Promise<string | null>;
  cancel(): Promise<void>;
}

/** The compiled module. */
export interface Native {
  Copying: { start(source: string, target: string): NativeCopying };
  Engine: { open(location: string, options: string, clock?: NativeClock): Promise<NativeEngine> };
  ManualClock: new (micros: number) => NativeClock;
}

function load(): Native {
  const name = artefact();
  try {
    return require(`./native/${name}`) as Native;
  } catch (error) {
    throw new Error(`ventros has no build for this machine that loads (${name})`, { cause: error });
  }
}

/** Loaded once per thread. */
export const native: Native = load();
