// How texts are shown; this browser remembers it.
import { kept } from "../kept";

export const stacked = kept("texts-stacked", false);
export const raw = kept("texts-raw", false);
export const marked = kept("texts-diff", false);
