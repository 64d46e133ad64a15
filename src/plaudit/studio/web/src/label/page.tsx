import type { PageProps } from "../pages";

export default function Label(_: PageProps) {
  return <main id="main" tabIndex={-1} />;
}
