"""The look of the report."""

from __future__ import annotations

CSS = """
:root { --ink: #1c2430; --soft: #5b6675; --line: #e3e7ec; --paper: #fff; --wash: #f6f8fa; --accent: #0072B2; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--wash); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 40px 28px 80px; }
h1 { font-size: 34px; line-height: 1.2; margin: 0 0 10px; letter-spacing: -.01em; }
h2 { font-size: 23px; margin: 0 0 6px; }
h3 { font-size: 17px; margin: 0; }
p { margin: 6px 0 14px; max-width: 78ch; }
.lead { font-size: 18px; color: #364152; }
.soft, figcaption, small { color: var(--soft); }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 12px; padding: 24px 26px;
  margin: 22px 0; overflow-x: auto; }
.facts { display: flex; flex-wrap: wrap; gap: 14px; margin: 22px 0 0; }
.fact { background: var(--paper); border: 1px solid var(--line); border-radius: 12px;
  padding: 12px 18px; min-width: 150px; }
.fact b { display: block; font-size: 24px; line-height: 1.25; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; margin: 10px 0; }
th { text-align: right; font-weight: 600; color: var(--soft); padding: 4px 8px; vertical-align: bottom;
  line-height: 1.25; }
td { text-align: right; padding: 5px 7px; border-top: 1px solid var(--line); white-space: nowrap; }
th.mid { text-align: center; }
th:first-child, td:first-child, th.left, td.left { text-align: left; }
td.name b { display: block; }
td.name small { display: block; line-height: 1.2; }
tr.reference td { color: var(--soft); background: #fafbfc; }
tr.best td.name b::after { content: " best"; color: #fff; background: var(--accent); border-radius: 4px;
  font-size: 11px; padding: 1px 5px; margin-left: 6px; font-weight: 500; vertical-align: 2px; }
td.heat { text-align: center; border: 2px solid #fff; border-radius: 6px; min-width: 50px; font-weight: 600; }
.bar { display: inline-block; width: 70px; height: 9px; background: #e8edf2; border-radius: 5px; margin-right: 8px;
  overflow: hidden; vertical-align: 1px; }
.bar i { display: block; height: 100%; background: var(--accent); }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 50%; margin-right: 7px; }
.swatch { display: inline-block; width: 11px; height: 11px; border-radius: 3px; margin-right: 5px; vertical-align: -1px;
  border: 1px solid rgba(0,0,0,.15); }
.row figure { max-width: 390px; }
.row { display: flex; flex-wrap: wrap; gap: 22px; align-items: flex-start; }
figure { margin: 0; }
figcaption { font-size: 13.5px; max-width: 52ch; }
svg { max-width: 100%; height: auto; font-family: inherit; }
svg .grid { stroke: #e8ecf0; stroke-width: 1; }
svg .leader { stroke: #9aa4b0; stroke-width: 1; }
svg .limit { stroke: #b84a08; stroke-width: 1.5; stroke-dasharray: 5 4; }
svg .tick { font-size: 11.5px; fill: #5b6675; }
svg .axis { font-size: 12.5px; fill: #364152; }
svg .label { font-size: 12px; fill: #1c2430; }
svg .halo { paint-order: stroke; stroke: #fff; stroke-width: 3px; }
img { image-rendering: pixelated; display: block; }
.wide { overflow-x: auto; max-width: 100%; }
.classes span { display: inline-block; margin-right: 12px; font-size: 13.5px; white-space: nowrap; }
@media (max-width: 700px) { main { padding: 18px 8px 40px; } section { padding: 16px 12px; }
  .strip > div { width: 84px; } }
.artifact { border-top: 1px solid var(--line); padding: 18px 0 14px; }
.verdict { margin: 2px 0 12px; color: #364152; max-width: 110ch; }
.strip { display: flex; align-items: center; gap: 14px; margin: 5px 0; }
.strip > div { width: 170px; flex: none; font-size: 14px; line-height: 1.25; }
.strip img { max-width: none; }
.legend { font-size: 13.5px; color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 18px; font-size: 14.5px; margin: 8px 0; }
dt { font-weight: 600; } dd { margin: 0; max-width: 90ch; }
details > summary { cursor: pointer; color: var(--accent); }
@media print { body { background: #fff; } section { break-inside: avoid; border: none; } }
"""
