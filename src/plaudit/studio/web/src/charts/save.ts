// Charts as files: the SVG with its colours written into it, and its numbers as CSV.
import type { Column } from "./plot";

const KEPT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "opacity", "font-size", "font-weight", "text-anchor"];

export function saveSvg(chart: SVGSVGElement, name: string, title: string): void {
  const copy = chart.cloneNode(true) as SVGSVGElement;
  const from = [chart, ...chart.querySelectorAll<SVGElement>("*")];
  const to = [copy, ...copy.querySelectorAll<SVGElement>("*")];
  from.forEach((one, index) => {
    const look = getComputedStyle(one);
    for (const property of KEPT) to[index]?.setAttribute(property, look.getPropertyValue(property));
    to[index]?.removeAttribute("class");
  });
  for (const one of copy.querySelectorAll("[data-live]")) one.remove();
  const page = getComputedStyle(document.documentElement);
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  ground.setAttribute("width", "100%");
  ground.setAttribute("height", "100%");
  ground.setAttribute("fill", getComputedStyle(chart.closest(".card") ?? document.body).backgroundColor);
  copy.prepend(ground);
  const named = document.createElementNS("http://www.w3.org/2000/svg", "title");
  named.textContent = title;
  copy.prepend(named);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("font-family", page.fontFamily || "sans-serif");
  save(`${name}.svg`, new XMLSerializer().serializeToString(copy), "image/svg+xml");
}

export function saveCsv(columns: readonly Column[], name: string): void {
  const rows = columns[0]?.cells.length ?? 0;
  const lines = [columns.map((column) => quoted(column.name)).join(",")];
  for (let row = 0; row < rows; row += 1) {
    lines.push(columns.map((column) => quoted(String(column.cells[row]?.value ?? ""))).join(","));
  }
  save(`${name}.csv`, `${lines.join("\n")}\n`, "text/csv");
}

function quoted(text: string): string {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function save(name: string, text: string, type: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
