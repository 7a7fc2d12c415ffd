/** How things are said to a person. */

import type { types } from "ventros";

const DAY = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });

export function day(at: types.Timestamp): string {
  return DAY.format(new Date(at));
}

export function time(at: types.Timestamp): string {
  return TIME.format(new Date(at));
}

/** The time of today, the day of before. */
export function short(at: types.Timestamp): string {
  const [then, now] = [day(at), DAY.format(new Date())];
  return then === now ? time(at) : then;
}

/** `1 message`, `2 messages`. */
export function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

/** What a content is, and what it says. */
export function content(content: types.Content): { kind: string | null; text: string } {
  switch (content.type) {
    case "text":
      return { kind: null, text: content.body };
    case "location": {
      const { name, address, latitude, longitude } = content.location;
      return { kind: "location", text: [name, address, `${latitude}, ${longitude}`].filter(Boolean).join(" · ") };
    }
    case "contact":
      return {
        kind: "contact card",
        text: content.cards.map((card) => card.display_name || card.name || "?").join(", "),
      };
    case "system":
      return { kind: "notice", text: content.notice.kind.replaceAll("_", " ") };
    case "template":
    case "interactive":
      return { kind: content.type, text: "" };
    case "unsupported":
      return { kind: "unsupported", text: content.raw_type };
    default: {
      const { filename, duration_ms } = content.media;
      const length = duration_ms ? `${Math.round(duration_ms / 1000)} s` : null;
      return { kind: content.type, text: [filename, length, content.caption].filter(Boolean).join(" · ") };
    }
  }
}

/** What became of a message of ours. */
export function delivery({ status, failure }: types.Message): string {
  if (status === "queued") return "queued, not delivered yet";
  if (status === "failed" && failure) return `failed: ${failure.code.replaceAll("_", " ")}`;
  return status;
}

/** Whether a session runs, or why it ended. */
export function course({ status, end_reason }: types.Session): string {
  return end_reason ? `${status}: ${end_reason.replaceAll("_", " ")}` : status;
}
