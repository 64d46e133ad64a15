// The frame of every page: who is signed in, the navigation, and the page at this address.
import type { ComponentType } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { locked, may, me, whoami } from "./api";
import { language, t } from "./i18n";
import { type PageProps, PAGES, pageAt } from "./pages";
import { address } from "./router";
import { Settings } from "./settings";
import { SignIn } from "./signin";
import { headerSlot } from "./slots";

const AGAIN = 3000; // milliseconds until a studio that did not answer is asked again

export function App() {
  useEffect(() => {
    let timer = 0;
    const ask = async () => {
      if (!(await whoami())) timer = window.setTimeout(ask, AGAIN);
    };
    void ask();
    return () => clearTimeout(timer);
  }, []);
  return (
    <>
      <a class="skip-link" href="#main" onClick={toMain}>{t("to-main")}</a>
      <Header />
      {pageAt(address.value.path[0] ?? "")?.open || stays() ? <Current /> : locked.value ? <SignIn /> : <Loading />}
    </>
  );
}

/** Whether the page stays: that for labelling says itself that one was signed out, and keeps what it holds. */
function stays(): boolean {
  return me.value !== null && (!locked.value || (address.value.path[0] ?? home()) === "label");
}

function toMain(event: Event): void {
  event.preventDefault(); // the address after the # names the page
  document.getElementById("main")?.focus();
}

function Header() {
  const nav = useRef<HTMLElement>(null);
  const here = address.value.path[0] ?? home();
  const shown = me.value ? PAGES.filter((page) => page.name !== null && may(page.permission)) : [];
  useEffect(() => nav.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }), [here, shown.length]);
  return (
    <header>
      <span class="brand"><img src={`${import.meta.env.BASE_URL}icon.svg`} alt="" width="22" height="22" />plaudit</span>
      <nav ref={nav} aria-label={t("pages")} lang={language.value === "zh" ? "zh-CN" : "en"}>
        {shown.map((page) => (
          <a key={page.route} href={`#/${page.route}`} aria-current={page.route === here ? "page" : undefined}>
            {page.name && t(page.name)}
          </a>
        ))}
      </nav>
      <div class="header-slot">{headerSlot.value}</div>
      <Settings />
    </header>
  );
}

function home(): string {
  return (PAGES.find((page) => page.name !== null && may(page.permission)) ?? PAGES[0])?.route ?? "help";
}

function Current() {
  const [route = home(), ...path] = address.value.path;
  const page = pageAt(route);
  const [loaded, setLoaded] = useState<{ route: string; component: ComponentType<PageProps> } | null>(null);
  const [trouble, setTrouble] = useState(0);
  const allowed = page !== undefined && may(page.permission);
  useEffect(() => {
    let wanted = true;
    let timer = 0;
    if (page && allowed) {
      page.load().then(
        (module) => wanted && setLoaded({ route, component: module.default }),
        () => (timer = window.setTimeout(() => setTrouble(trouble + 1), AGAIN)),
      );
    }
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [route, allowed, trouble]);
  if (!page) return <Notice title={t("unknown-page")} text={t("unknown-page.text")} />;
  if (!allowed) return <Notice title={t("forbidden")} text={t("forbidden.text")} />;
  if (loaded?.route !== route) return <Loading />;
  return <loaded.component path={path} />;
}

export function Notice({ title, text }: { title: string; text: string }) {
  return (
    <main id="main" tabIndex={-1} class="centre">
      <section class="message"><h1>{title}</h1><p>{text}</p></section>
    </main>
  );
}

function Loading() {
  return <Notice title={t("opening")} text={t("opening.text")} />;
}
