// Which page stands at which address. A page is a module with a default component that gets the rest of the address.
// Pages of one folder are one chunk, loaded when somebody goes there.
import type { ComponentType } from "preact";
import type { Permission } from "./contract";
import type { en } from "./words/en";

export interface PageProps {
  /** what follows the page's own name in the address: `#/watch/ask` gives ["ask"] */
  path: string[];
}

export interface Page {
  route: string;
  /** key of its name in words/en.ts; null: it is not in the navigation */
  name: keyof typeof en | null;
  /** who sees it (a value of studio/roles.py's Permission); null: everybody who is signed in */
  permission: Permission | null;
  /** whether nobody has to be signed in */
  open?: boolean;
  load: () => Promise<{ default: ComponentType<PageProps> }>;
}

export const PAGES: Page[] = [
  { route: "label", name: "page.label", permission: "label", load: () => import("./label/page") },
  { route: "watch", name: "page.watch", permission: "watch", load: () => import("./watch/page") },
  { route: "behaviour", name: null, permission: "watch", load: () => import("./watch/behaviour") },
  { route: "study", name: "page.study", permission: "study", load: () => import("./study/page") },
  { route: "signoff", name: "page.signoff", permission: "study", load: () => import("./study/signoff") },
  { route: "access", name: "page.access", permission: "keys", load: () => import("./access/page") },
  { route: "help", name: "page.help", permission: null, load: () => import("./help/page") },
  { route: "join", name: null, permission: null, open: true, load: () => import("./join/page") },
];

export function pageAt(route: string): Page | undefined {
  return PAGES.find((page) => page.route === route);
}
