/** Server-sent events: one subscription to everything that happens, told to every page that is open. */

import type { ServerResponse } from "node:http";
import type { Event, Project, Subscription } from "ventros";

/** Proxies and browsers give a silent connection up. */
const HEARTBEAT = 25_000;

/** How much may wait for a page that does not read: then it is let go, comes again and catches up. */
const MAX_WAITING = 1024 * 1024;

/** The open pages. */
export class Live {
  readonly #pages = new Set<ServerResponse>();
  readonly #heartbeat = setInterval(() => this.#tell(": still here\n\n"), HEARTBEAT).unref();
  #subscription: Subscription | undefined;

  /** Begins to listen. */
  static async start(shop: Project): Promise<Live> {
    const live = new Live();
    live.#subscription = await shop.on("*", (event) => live.#tell(change(event)));
    return live;
  }

  /** Keeps a response open and writes to it whatever happens from now on. */
  join(page: ServerResponse): void {
    page.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    page.write("retry: 1000\n\n");
    this.#pages.add(page);
    page.on("close", () => this.#pages.delete(page));
  }

  async close(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#subscription?.cancel();
    for (const page of this.#pages) page.end();
  }

  #tell(text: string): void {
    for (const page of this.#pages) {
      if (page.writableLength < MAX_WAITING) page.write(text);
      else page.destroy();
    }
  }
}

/**
 * That something changed, and what. A page fetches the rest, so one that was away for a while needs no history.
 */
function change({ seq, type }: Event): string {
  return `id: ${seq}\nevent: change\ndata: ${type}\n\n`;
}
