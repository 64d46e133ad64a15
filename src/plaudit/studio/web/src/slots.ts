// Places of the frame that a page may fill.
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

/** between navigation and settings, for example progress */
export const headerSlot = signal<ComponentChildren>(null);
