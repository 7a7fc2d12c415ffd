/** What is heard: the types of events, and how they are asked for. */

import type { EventMap } from "./generated/events.js";
import type { Recorded } from "./wire.js";

export type * from "./generated/events.js";
export type { Recorded, Subject } from "./wire.js";

/** The type of an event that the library records. */
export type EventType = keyof EventMap;

/** An event of the host's own. */
export type CustomEvent = Recorded<`custom.${string}`, string, string, Record<string, unknown>>;

/** Something that happened; `type` tells which, and so what `data` holds. */
export type Event = EventMap[EventType] | CustomEvent;

type Group<Type> = Type extends `${infer Name}.${string}` ? Name : never;

/** Which events: a type (`contact.created`), all of a group (`contact.*`), or `*`. */
export type Pattern = EventType | `${Group<EventType>}.*` | `custom.${string}` | "*";

/** The events that a pattern stands for. */
export type EventFor<Wanted extends Pattern> = Wanted extends "*"
  ? Event
  : Wanted extends EventType
    ? EventMap[Wanted]
    : Wanted extends `custom.${string}`
      ? CustomEvent
      : Wanted extends `${infer Name}.*`
        ? EventMap[Extract<EventType, `${Name}.${string}`>]
        : never;
