// Style sheet of the report: light, dark and print, from a phone's width up.
#pragma once

#include "apps/report/html.h"

namespace assay {

inline Html style_sheet() {
  return R"(
:root { color-scheme: light dark;
  --page: #ffffff; --ink: #1b1f24; --soft: #57606a; --rule: #d8dee4; --panel: #f6f8fa;
  --link: #0a5bb5; --shade: #0000002e; --note: #fff8e1; --note-rule: #d9a400;
  --c0: #c2570c; --c1: #1f66b8; --c2: #2a7d4a; --c3: #8a4fa8; --c4: #b02a5b; --c5: #6b7280; --mark: #b3261e; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171a; --ink: #e4e7ea; --soft: #a2abb4; --rule: #333b43; --panel: #1c2126;
  --link: #7db7f5; --shade: #ffffff30; --note: #2c2614; --note-rule: #b98d16;
  --c0: #f39a5c; --c1: #6fb0f4; --c2: #6fc796; --c3: #c9a0e2; --c4: #f084a8; --c5: #9aa4b1; --mark: #ff8a80; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 12px; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 1220px; padding: 28px 16px 64px; background: var(--page);
  color: var(--ink); font: 16px/1.55 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
header, main { min-width: 0; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 2.8rem 0 .8rem; padding-top: 1.3rem;
  border-top: 1px solid var(--rule); }
h3 { font-size: 1.12rem; line-height: 1.3; margin: 2rem 0 .5rem; }
h4 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p, li { max-width: 74ch; }
p { margin: .6rem 0; }
.soft, figcaption { color: var(--soft); font-size: .89rem; line-height: 1.45; }
.soft { margin-bottom: 1rem; max-width: 84ch; }
.big { font-size: 1.1rem; }
.answer { list-style: none; margin: 1rem 0; padding: 0; }
.answer li { font-size: 1.06rem; padding: .5rem 0 .5rem .9rem; border-left: 4px solid var(--rule);
  margin: .55rem 0; }
.answer .clear { border-color: var(--c2); }
.note { background: var(--note); border-left: 4px solid var(--note-rule); padding: .6rem .9rem;
  border-radius: 4px; max-width: 78ch; }
.note ul { margin: .3rem 0; padding-left: 1.2rem; }
.tag { border: 1px solid var(--note-rule); border-radius: 4px; padding: 0 .35em; font-size: .72rem;
  font-weight: 500; color: var(--soft); white-space: nowrap; vertical-align: .1em; }
nav { font-size: .89rem; line-height: 1.4; margin: 1.4rem 0; padding: .7rem 1rem;
  background: var(--panel); border-radius: 6px; }
nav label { font-weight: 600; cursor: pointer; } nav input { position: absolute; opacity: 0; }
nav label::after { content: " \25be"; } nav ul { margin-top: .3rem; }
nav input:not(:checked) ~ ul { display: none; }
nav input:focus-visible + label { outline: 2px solid var(--link); outline-offset: 2px; }
nav ul { list-style: none; margin: .3rem 0 0; padding: 0; } nav ul ul { margin: 0; }
nav li { padding: .18rem 0; }
nav ul ul li { display: inline-block; margin-right: .9rem; }
@media (min-width: 1080px) {
  body { display: grid; grid-template-columns: 200px minmax(0, 1fr); column-gap: 36px; }
  header, main { grid-column: 2; }
  nav { grid-column: 1; grid-row: 1 / span 2; position: sticky; top: 20px; align-self: start;
    max-height: calc(100vh - 40px); overflow-y: auto; margin: 0; }
  nav input:not(:checked) ~ ul { display: block; } nav label::after { content: none; }
  nav ul ul { padding-left: .8rem; }
  nav ul ul li { display: block; margin: 0; } }
/* A shadow at the edge beyond which a table goes on. */
.scroll { overflow-x: auto; margin: .6rem 0 1rem;
  background: linear-gradient(to right, var(--page) 30%, transparent) left / 40px 100% no-repeat local,
    linear-gradient(to left, var(--page) 30%, transparent) right / 40px 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / 14px 100% no-repeat scroll,
    linear-gradient(to left, var(--shade), transparent) right / 14px 100% no-repeat scroll; }
table { border-collapse: collapse; font-size: .9rem; line-height: 1.4;
  font-variant-numeric: tabular-nums; }
th, td { padding: .38rem 1.1rem .38rem 0; border-bottom: 1px solid var(--rule); text-align: left;
  vertical-align: baseline; white-space: nowrap; }
th:last-child, td:last-child { padding-right: .2rem; }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal; }
.group th { padding-top: .9rem; font-weight: 600; white-space: normal; }
.group small { color: var(--soft); font-weight: 400; margin-left: .6em; }
td:first-child { white-space: normal; min-width: 11.5rem; }
.n { text-align: right; }
thead th.n { min-width: 4.2rem; }
.wrap { white-space: normal; display: block; min-width: 13rem; }
td small { color: var(--soft); font-size: .82rem; }
td .best { font-weight: 700; }
.numbers { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 14px;
  margin: 1.2rem 0; }
.numbers div { border-top: 3px solid var(--c2); padding: .5rem 0 0; }
.numbers b { display: block; font-size: 2.3rem; line-height: 1.15; font-weight: 650;
  font-variant-numeric: tabular-nums; letter-spacing: -.02em; }
.numbers span { display: block; color: var(--soft); font-size: .89rem; line-height: 1.4; max-width: 30ch; }
.gallery { display: grid; gap: 20px; margin: 1.4rem 0; }
.of-class { display: grid; grid-template-columns: 7.5rem repeat(2, minmax(0, 1fr)); gap: 14px;
  align-items: start; }
.of-class p { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.of-class small { display: block; color: var(--soft); font-weight: 400; }
.of-class figure div { display: grid; grid-template-columns: repeat(2, minmax(0, 200px)); gap: 5px; }
.of-class img, .strip img { width: 100%; height: auto; display: block; border-radius: 3px; }
.of-class figcaption { margin-top: .3rem; }
.strip { display: grid; grid-template-columns: repeat(auto-fill, minmax(84px, 96px)); gap: 8px;
  margin: .4rem 0 1rem; }
.strip img + img { margin-top: 3px; }
.strip figcaption { font-size: .75rem; overflow-wrap: anywhere; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr));
  gap: 14px; margin: .8rem 0; }
.charts.wide-chart { max-width: 560px; grid-template-columns: minmax(0, 1fr); }
figure { margin: 0; min-width: 0; }
svg.chart { display: block; width: 100%; height: auto; background: var(--panel);
  border-radius: 6px; }
.chart text { fill: var(--soft); font: 11px system-ui, "Segoe UI", Roboto, sans-serif; }
.chart .title { fill: var(--ink); font-weight: 600; font-size: 12.5px; }
.chart .name { fill: var(--ink); }
.chart .strong { fill: var(--ink); font-weight: 600; }
.chart .thresholdtext { fill: var(--mark); }
.grid { stroke: var(--rule); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
.chance { stroke: var(--soft); stroke-dasharray: 4 4; }
.threshold { stroke: var(--mark); stroke-dasharray: 5 3; stroke-width: 1.5; }
polyline { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
.dash1 { stroke-dasharray: 6 3; } .dash2 { stroke-dasharray: 2 2.5; } .dash3 { stroke-dasharray: 9 3 2 3; }
.roof { stroke: var(--ink); stroke-width: 1.4; }
.seen { opacity: .8; }
.line0 { stroke: var(--c0); } .line1 { stroke: var(--c1); } .line2 { stroke: var(--c2); }
.line3 { stroke: var(--c3); } .line4 { stroke: var(--c4); } .line5 { stroke: var(--c5); }
.fill0 { fill: var(--c0); } .fill1 { fill: var(--c1); } .fill2 { fill: var(--c2); }
.fill3 { fill: var(--c3); } .fill4 { fill: var(--c4); } .fill5 { fill: var(--c5); }
.faint { opacity: .3; }
.tiles { display: grid; gap: 4px 6px; max-width: 820px; margin: .6rem 0; }
.tiles.of5 { grid-template-columns: repeat(5, minmax(0, 1fr)); }
.tiles.of4 { grid-template-columns: repeat(4, minmax(0, 1fr)); }
.tiles.of3 { grid-template-columns: repeat(3, minmax(0, 1fr)); max-width: 500px; }
.tiles img { width: 100%; height: auto; display: block; border-radius: 2px; }
.tiles span { font-size: .75rem; color: var(--soft); line-height: 1.25; align-self: end;
  overflow-wrap: anywhere; }
.tiles .whole { grid-column: 1 / -1; font-size: .8rem; margin-top: .1rem; margin-bottom: .4rem; }
.tiles .gap { grid-column: 1 / -1; height: .8rem; }
.tiles .beside { grid-column: 3 / -1; font-size: .8rem; align-self: center; }
.scale { display: flex; align-items: center; gap: .5rem; font-size: .8rem; color: var(--soft);
  margin: .3rem 0 .9rem; flex-wrap: wrap; }
.scale i { width: 150px; height: 11px; border-radius: 2px; border: 1px solid var(--rule);
  background: linear-gradient(to right, #000, #c00 50%, #ff5000 62.5%, #ffbf00 80%, #ffff80 90%,
    #fff); }
.sheets { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr));
  gap: 16px; margin: .8rem 0; }
.sheets img { width: 100%; max-width: 540px; height: auto; display: block; border-radius: 2px; }
code { background: var(--panel); padding: .1em .35em; border-radius: 3px; font-size: .86em;
  overflow-wrap: anywhere; font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.commands code { display: block; padding: .3rem .5rem; margin: .3rem 0; font-size: .78rem;
  line-height: 1.45; white-space: pre-wrap; }
dl { max-width: 78ch; } dt { font-weight: 600; margin-top: .6rem; } dd { margin: 0; }
@media (max-width: 620px) {
  body { padding: 18px 14px 48px; }
  h1 { font-size: 1.45rem; } h2 { font-size: 1.25rem; }
  .tiles span { font-size: .66rem; hyphens: auto; } .tiles .whole, .tiles .beside { font-size: .75rem; }
  .numbers { gap: 10px; } .numbers b { font-size: 1.45rem; } .numbers span { font-size: .8rem; }
  .of-class { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 6px 14px; }
  .of-class p { grid-column: 1 / -1; } .of-class small { display: inline; margin-left: .5em; }
  .of-class figure div { grid-template-columns: minmax(0, 1fr); }
  /* Each row of a table is a card: no column is out of sight. */
  .scroll { overflow: visible; background: none; }
  table, tbody, tr, td, .group th { display: block; } thead { display: none; }
  table { font-size: .86rem; }
  tr { border: 1px solid var(--rule); border-radius: 6px; padding: .4rem .7rem; margin: .5rem 0; }
  tr.group { border: 0; padding: .6rem 0 0; margin: 0; } .group th { border: 0; padding: 0; }
  td { display: flex; justify-content: space-between; gap: .8rem; border: 0; padding: .12rem 0;
    text-align: right; white-space: normal; }
  td:last-child { padding-right: 0; }
  td::before { content: attr(data-label); color: var(--soft); text-align: left; flex: 0 1 45%; }
  td > * { min-width: 0; }
  td:first-child { display: block; font-weight: 600; text-align: left; }
  td:first-child::before { content: none; } .wrap { min-width: 0; } }
summary { cursor: pointer; color: var(--link); margin: .8rem 0; }
@media print {
  :root { --page: #fff; --ink: #000; --soft: #444; --rule: #bbb; --panel: #fff; --link: #000; --shade: transparent;
    --note: #fff; --c0: #c2570c; --c1: #1f66b8; --c2: #2a7d4a; --c3: #8a4fa8; --c4: #b02a5b; --c5: #6b7280;
    --mark: #b3261e; color-scheme: light; }
  body { display: block; max-width: none; padding: 0; font-size: 10pt; }
  nav input:not(:checked) ~ ul { display: block; }
  nav { position: static; max-height: none; overflow: visible; border: 1px solid var(--rule); }
  .scroll { overflow: visible; } table { font-size: 7.6pt; } th, td { padding-right: .5rem;
    white-space: normal; }
  details::details-content { content-visibility: visible; } summary { color: inherit; }
  .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); }
  h2, h3, h4 { break-after: avoid; }
  figure, tr, .tiles, .answer li { break-inside: avoid; } }
)"_html;
}

}  // namespace assay
