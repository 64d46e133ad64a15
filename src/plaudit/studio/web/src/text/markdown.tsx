// A small, safe Markdown: headings, paragraphs, lists, quotes, code, tables, emphasis, links. It builds elements, never
// HTML; what it does not know stays text. Nothing is loaded: a picture becomes a word, and a link shows where it goes.
import type { ComponentChildren } from "preact";
import { t } from "../label/words";

export function Markdown({ text }: { text: string }) {
  return <div class="markdown">{blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0)}</div>;
}

const FENCE = /^\s{0,3}(```+|~~~+)\s*([\w+-]*)\s*$/;
const HEADING = /^\s{0,3}(#{1,6})\s+(\S.*)$/;
const RULE = /^\s{0,3}([-*_])(\s*\1){2,}\s*$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const QUOTE = /^\s{0,3}>\s?/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const DEEPEST = 12; // levels of nesting; hostile text may have thousands

function blocks(lines: string[], depth: number): ComponentChildren[] {
  const found: ComponentChildren[] = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? "";
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    let end = at + 1;
    if (line.trim() === "") {
      at += 1;
      continue;
    }
    if (fence) {
      const close = lines.findIndex((other, i) => i > at && other.trim().startsWith(fence[1] ?? "```") && FENCE.test(other));
      end = close < 0 ? lines.length : close;
      found.push(<pre tabIndex={0}><code>{lines.slice(at + 1, end).join("\n")}</code></pre>);
      end += 1;
    } else if (heading) {
      // the page has its own h1 and h2
      const Level = (["h3", "h4", "h5", "h6"] as const)[Math.min((heading[1]?.length ?? 1) - 1, 3)] ?? "h6";
      found.push(<Level>{spans(heading[2] ?? "")}</Level>);
    } else if (RULE.test(line)) {
      found.push(<hr />);
    } else if (QUOTE.test(line) && depth < DEEPEST) {
      while (end < lines.length && QUOTE.test(lines[end] ?? "")) end += 1;
      found.push(<blockquote>{blocks(lines.slice(at, end).map((one) => one.replace(QUOTE, "")), depth + 1)}</blockquote>);
    } else if (ITEM.test(line) && depth < DEEPEST) {
      while (end < lines.length && (ITEM.test(lines[end] ?? "") || /^\s{2,}\S/.test(lines[end] ?? "") || (blank(lines[end]) && ITEM.test(lines[end + 1] ?? "")))) end += 1;
      found.push(list(lines.slice(at, end), depth));
    } else if (line.includes("|") && DIVIDER.test(lines[at + 1] ?? "") && (lines[at + 1] ?? "").includes("-")) {
      end = at + 2;
      while (end < lines.length && (lines[end] ?? "").includes("|")) end += 1;
      found.push(table(lines.slice(at, end)));
    } else {
      while (end < lines.length && !blank(lines[end]) && !begins(lines[end] ?? "")) end += 1;
      found.push(<p>{spans(lines.slice(at, end).join("\n"))}</p>);
    }
    at = end;
  }
  return found;
}

function blank(line: string | undefined): boolean {
  return line === undefined || line.trim() === "";
}

function begins(line: string): boolean {
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function list(lines: string[], depth: number): ComponentChildren {
  const indent = ITEM.exec(lines[0] ?? "")?.[1]?.length ?? 0;
  const ordered = /^\s*\d/.test(lines[0] ?? "");
  const items: string[][] = [];
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item && (item[1]?.length ?? 0) <= indent + 1) items.push([item[3] ?? ""]);
    else items.at(-1)?.push(line.replace(/^\s{1,4}/, ""));
  }
  const inside = items.map((item, i) => <li key={i}>{item.length === 1 ? spans(item[0] ?? "") : blocks(item, depth + 1)}</li>);
  const first = Number.parseInt((lines[0] ?? "").trim(), 10);
  return ordered ? <ol start={first}>{inside}</ol> : <ul>{inside}</ul>;
}

function table(lines: string[]): ComponentChildren {
  const cells = (line: string) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());
  const [head = "", , ...rows] = lines;
  return (
    <div class="wide" tabIndex={0}>
      <table>
        <thead><tr>{cells(head).map((cell, i) => <th key={i} scope="col">{spans(cell)}</th>)}</tr></thead>
        <tbody>{rows.map((row, i) => <tr key={i}>{cells(row).map((cell, j) => <td key={j}>{spans(cell)}</td>)}</tr>)}</tbody>
      </table>
    </div>
  );
}

const SPANS =
  /\\(?<escaped>[`*_|~])|&(?<entity>lt|gt|amp);|(?<code>`+)(?<inside>[^]{0,4000}?[^`])\k<code>(?!`)|!\[(?<alt>[^\]\n]{0,500})\]\((?<src>[^\s)]{1,2000})[^)\n]{0,200}\)|\[(?<words>[^\]\n]{1,500})\]\((?<href>[^\s)]{1,2000})[^)\n]{0,200}\)|(?<bare>https?:\/\/[^\s<>"'`)\]]{0,2000}[^\s<>"'`)\].,;:!?。，；：！？])|(?<strong>\*\*|__)(?=\S)(?<bold>[^\n]{1,2000}?)\k<strong>|(?<mark>[*_])(?=[^\s*_])(?<soft>[^\n*_]{1,1000}?)\k<mark>(?!\w)|~~(?<gone>[^~\n]{1,1000})~~|(?<breaks> {2,}\n)/g;

/** Emphasis, code and links within a block. */
function spans(text: string, depth = 0): ComponentChildren[] {
  const found: ComponentChildren[] = [];
  let at = 0;
  for (const match of depth > 4 ? [] : text.matchAll(SPANS)) {
    const part = match.groups ?? {};
    if (part.mark === "_" && /\w/.test(text[match.index - 1] ?? "")) continue; // snake_case is no emphasis
    if (match.index < at) continue;
    found.push(text.slice(at, match.index), span(part, depth, match[0]));
    at = match.index + match[0].length;
  }
  found.push(text.slice(at));
  return found;
}

function span(part: Record<string, string | undefined>, depth: number, whole: string): ComponentChildren {
  if (part.escaped !== undefined) return part.escaped;
  if (part.entity !== undefined) return { lt: "<", gt: ">", amp: "&" }[part.entity] ?? whole;
  if (part.inside !== undefined) return <code>{part.inside}</code>;
  if (part.src !== undefined) return <span class="remote">{t("remote", { alt: part.alt || hostOf(part.src) || part.src })}</span>;
  if (part.href !== undefined) return link(part.href, spans(part.words ?? "", depth + 1), whole);
  if (part.bare !== undefined) return link(part.bare, [part.bare], whole);
  if (part.bold !== undefined) return <strong>{spans(part.bold, depth + 1)}</strong>;
  if (part.soft !== undefined) return <em>{spans(part.soft, depth + 1)}</em>;
  if (part.gone !== undefined) return <s>{part.gone}</s>;
  return <br />;
}

function link(href: string, words: ComponentChildren[], whole: string): ComponentChildren {
  const host = hostOf(href);
  if (host === null) return whole; // javascript:, data:, and what is no address, stay text
  const shown = words.length === 1 && words[0] === href ? null : <span class="host"> ({host})</span>;
  return <><a href={href} target="_blank" rel="noopener nofollow noreferrer">{words}</a>{shown}</>;
}

function hostOf(href: string): string | null {
  try {
    const url = new URL(href);
    return url.protocol === "https:" || url.protocol === "http:" ? url.host : null;
  } catch {
    return null;
  }
}
