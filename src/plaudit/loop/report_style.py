"""The report's style sheet: one calm page that reads on a phone, in the dark and on paper."""

from __future__ import annotations

from plaudit.loop.markup import Html

STYLE_SHEET = Html("""
:root {
  color-scheme: light dark;
  --paper: #fdfcfa; --card: #ffffff; --ink: #1c1e21; --muted: #5f6670; --rule: #e5e2dc; --faint: #f3f1ec;
  --one: #2a5da8; --two: #b4540f; --three: #2f7d5b; --problem: #b3261e; --warning: #8f5b00; --note: #2a5da8; --ok: #2f7d5b;
  --serif: "Iowan Old Style", "Palatino Linotype", Palatino, "URW Palladio L", P052, "Source Serif 4", Georgia, serif;
  --sans: Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --card: #1b1e23; --ink: #e8e6e1; --muted: #a0a6af; --rule: #30343b; --faint: #20242a;
    --one: #86b4f3; --two: #eda364; --three: #7fcaa4; --problem: #f2938c; --warning: #e6b862; --note: #86b4f3; --ok: #7fcaa4;
  }
}
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans); }
.page { max-width: 1120px; margin: 0 auto; padding: 0 24px; }
a { color: inherit; text-underline-offset: 3px; }
:focus-visible { outline: 2px solid var(--one); outline-offset: 3px; border-radius: 2px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 12px; top: 12px; background: var(--card); padding: 8px 12px; z-index: 3; }
code, .hash { font-family: var(--mono); font-size: .84em; overflow-wrap: anywhere; }
data, td, dd { font-variant-numeric: tabular-nums; }
data { white-space: nowrap; }
.absent { color: var(--muted); font-style: italic; }

header.page { padding-top: 52px; padding-bottom: 22px; }
.eyebrow { color: var(--muted); font-size: 14px; margin: 0 0 14px; }
.eyebrow b { color: var(--ink); font-weight: 600; }
h1 { font: 400 clamp(27px, 3.7vw, 41px)/1.2 var(--serif); letter-spacing: -.008em; margin: 0 0 18px; max-width: 23em; text-wrap: balance; }
.details { max-width: 46em; color: var(--muted); margin: 0; padding: 0; list-style: none; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); margin: 30px 0 0; padding: 0;
  border-top: 1px solid var(--rule); }
.figures div { padding: 15px 18px 0 0; }
.figures dt { color: var(--muted); font-size: 13.5px; line-height: 1.35; }
.figures dd { margin: 2px 0 0; font-size: 27px; line-height: 1.25; letter-spacing: -.01em; }
.figures dd small { display: block; font-size: 13.5px; color: var(--muted); letter-spacing: 0; line-height: 1.4; }

nav { position: sticky; top: 0; z-index: 2; background: var(--paper); border-bottom: 1px solid var(--rule); }
nav .page { display: flex; align-items: center; gap: 24px; overflow-x: auto; }
nav a { color: var(--muted); text-decoration: none; padding: 13px 0; font-size: 15px; white-space: nowrap; }
nav a:hover { color: var(--ink); }
nav label { margin-left: auto; color: var(--muted); font-size: 14px; white-space: nowrap; cursor: pointer; }
nav input { vertical-align: -1px; margin: 0 6px 0 0; accent-color: var(--one); }

section { padding: 42px 0 40px; scroll-margin-top: 40px; }
section + section { border-top: 1px solid var(--rule); }
h2 { font: 400 30px/1.2 var(--serif); margin: 0; }
h2 + p { color: var(--muted); margin: 4px 0 24px; max-width: 46em; }
h3 { font-size: 16px; font-weight: 600; margin: 34px 0 10px; }
p { max-width: 46em; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 26px 40px; align-items: start; }
.stack { display: grid; gap: 24px; } .stack h3 { margin: 0; }
.facts { display: grid; grid-template-columns: minmax(0, max-content) minmax(7em, 1fr); gap: 5px 20px; margin: 0; font-size: 15px; align-content: start; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; }

figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { color: var(--muted); font-size: 14px; line-height: 1.5; margin-top: 8px; max-width: 46em; }
figcaption b { color: var(--ink); font-weight: 600; }
.empty { border: 1px dashed var(--rule); border-radius: 4px; padding: 26px 20px; color: var(--muted); font-style: italic; text-align: center; }

svg { display: block; width: 100%; max-width: 620px; height: auto; overflow: visible; }
svg text { font: 12.5px var(--sans); fill: var(--muted); font-variant-numeric: tabular-nums; }
svg .label { fill: var(--ink); font-size: 13px; }
svg .small { font-size: 11px; }
svg .headline { fill: var(--ink); font-size: 21px; font-weight: 600; }
svg .middle { text-anchor: middle; } svg .end { text-anchor: end; } svg .start { text-anchor: start; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .axis { stroke: var(--muted); stroke-width: 1; }
svg .axis.strong { stroke: var(--ink); stroke-width: 1.6; }
svg .reference { stroke: var(--muted); stroke-width: 1.2; stroke-dasharray: 5 4; fill: none; }
svg .reference-name { font-size: 12px; font-style: italic; paint-order: stroke; stroke: var(--paper); stroke-width: 4px; }
svg .s1 { stroke: var(--one); } svg .s2 { stroke: var(--two); } svg .s3 { stroke: var(--three); }
svg text.s1 { stroke: none; fill: var(--one); } svg text.s2 { stroke: none; fill: var(--two); }
svg .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .interval { stroke-width: 1.6; opacity: .75; } svg .interval.wide { stroke-width: 10; opacity: .3; stroke-linecap: round; }
svg .points, svg .dots, svg .cloud { fill: none; stroke-linecap: round; }
svg .points { stroke-width: 6.5; } svg .points.big { stroke-width: 10; }
svg .dots { stroke-width: 3.6; opacity: .26; } svg .cloud { stroke-width: 3.8; opacity: .38; }
svg .track { stroke: var(--rule); stroke-width: 6; stroke-linecap: round; }
svg .fill { stroke-width: 6; stroke-linecap: round; opacity: .55; }
.answered { fill: var(--one); background: var(--one); } .tie { fill: var(--three); background: var(--three); }
.skipped { fill: var(--two); background: var(--two); } .waiting { fill: var(--rule); background: var(--rule); }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin: 0 5px 0 0; }
.keys span { margin-right: 16px; white-space: nowrap; }

.clips { display: grid; grid-template-columns: repeat(auto-fit, minmax(98px, 1fr)); gap: clamp(10px, 2.2vw, 24px); margin-bottom: 28px; }
.clips > figure { max-width: 360px; }
.video { display: block; background: var(--faint); border: 1px solid var(--rule); border-radius: 5px; overflow: hidden; }
.video img { display: block; width: 100%; height: auto; }
.video.none { display: grid; aspect-ratio: 4 / 3; place-items: center; padding: 16px; text-align: center; color: var(--muted); font-size: 14px; font-style: italic; }
.still { display: none !important; }
body:not(:has(#play:checked)) .moving.paired { display: none !important; }
body:not(:has(#play:checked)) .still { display: block !important; }
@media (prefers-reduced-motion: reduce) {
  html { scroll-behavior: auto; }
  .moving.paired { display: none !important; } .still { display: block !important; } nav label { display: none; }
}
.questions { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 310px), 1fr)); gap: 34px 30px; padding: 0; margin: 14px 0 0; list-style: none; }
.questions li { break-inside: avoid; min-width: 0; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; }
.pair .won .video { border-color: var(--one); box-shadow: 0 0 0 2px var(--one); }
.pair figcaption { margin-top: 4px; font-size: 13px; } .won figcaption { color: var(--one); font-weight: 600; }
.questions p { margin: 8px 0 0; font-size: 14.5px; line-height: 1.45; } .questions p + p { margin-top: 2px; color: var(--muted); }

.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; width: 100%; }
caption { text-align: left; color: var(--muted); font-size: 14px; padding-bottom: 8px; }
td { white-space: nowrap; }
th, td { text-align: right; padding: 6px 0 6px 18px; border-bottom: 1px solid var(--rule); vertical-align: top; }
th:first-child, td:first-child, .words th:nth-child(2), .words td:nth-child(2) { text-align: left; }
th:first-child, td:first-child { padding-left: 0; }
.words td:nth-child(2) { white-space: normal; overflow-wrap: anywhere; min-width: 8em; }
thead th { color: var(--muted); font-weight: 500; vertical-align: bottom; line-height: 1.3; }
tbody th { font-weight: 400; }
td.text { text-align: left; }
details { margin-top: 14px; } summary { cursor: pointer; color: var(--muted); font-size: 14.5px; } summary:hover { color: var(--ink); }
details > :not(summary) { margin-top: 12px; }

.findings { list-style: none; padding: 0; margin: 0; display: grid; gap: 16px; }
.findings li { display: grid; grid-template-columns: 92px 1fr; gap: 2px 16px; break-inside: avoid; }
.severity { font-size: 13.5px; font-weight: 600; padding-top: 2px; }
.severity::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 50%; margin-right: 8px; background: currentColor; }
.severity.problem { color: var(--problem); } .severity.warning { color: var(--warning); }
.severity.note { color: var(--note); } .severity.ok { color: var(--ok); }
.findings p { margin: 0; } .findings .advice { color: var(--muted); } .findings .numbers { color: var(--muted); font-size: 13.5px; }
.numbers span { margin-right: 14px; white-space: nowrap; }
footer { padding: 26px 0 60px; color: var(--muted); font-size: 14px; border-top: 1px solid var(--rule); margin-top: 36px; }

@media (max-width: 640px) {
  .page { padding: 0 18px; } header.page { padding-top: 30px; } .figures { grid-template-columns: 1fr 1fr; }
  nav .page { gap: 18px; } nav a { padding: 11px 0; } section { padding: 30px 0; }
  .findings li { grid-template-columns: 1fr; } .facts { gap: 4px 14px; }
  svg text { font-size: 15px; } svg .label { font-size: 15.5px; } svg .small { font-size: 12.5px; } svg .headline { font-size: 23px; }
}
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --muted: #444; --rule: #ccc; --faint: #f4f4f4; --one: #1d4f99; --two: #a34a08; --three: #226a4b;
    --problem: #a01810; --warning: #7a4d00; --note: #1d4f99; --ok: #226a4b; }
  body { font-size: 10.5pt; } nav, .skip { display: none; } section { padding-top: 20px; } .page { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; } .clips { grid-template-columns: repeat(3, 1fr); } .questions { grid-template-columns: 1fr 1fr; }
  .columns { grid-template-columns: 1fr 1fr; } table { font-size: 8.5pt; } th, td { padding-left: 8px; } * { print-color-adjust: exact; }
}
""")
