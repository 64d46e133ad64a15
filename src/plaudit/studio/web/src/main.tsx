import { render } from "preact";
import "./style.css";
import { App } from "./app";
import { pageAt } from "./pages";
import { address } from "./router";

const root = document.getElementById("app");
if (root) render(<App />, root);
// loaded while the studio says who is signed in
void pageAt(address.value.path[0] ?? "label")?.load().catch(() => {});
