"""The style sheet of a report: one scale of type, light and dark, phone to wide screen, print."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{--paper:#faf9f5;--card:#fff;--ink:#1c2420;--soft:#5b665f;--line:#dcded5;--accent:#1f5e8c;
--band:#1f5e8c2e;--bar:#6ea3bf;--zero:#eef0ea;--grey:#e3e3de;--hatch:#c6c8c1;--sun:#d98200;
--rim:#ffffffd0;--density:#a4380f;--warn:#fbf1da;--edge:#d9b862;
--s0:.8rem;--s1:1rem;--s2:1.25rem;--s3:1.5625rem;--s4:2.4414rem}
@media screen and (prefers-color-scheme:dark){:root{--paper:#121617;--card:#191e20;--ink:#e4e8e3;
--soft:#9ca8a2;--line:#2e3638;--accent:#7cc4d6;--band:#7cc4d638;--bar:#3f7f95;--zero:#22292c;
--grey:#3a4042;--hatch:#545b5d;--sun:#ffb02e;--rim:#000000b0;--density:#ff9a6b;--warn:#2b2616;
--edge:#77632c}}
*{box-sizing:border-box}
html{font:clamp(15px,.28vw + 12.4px,20px)/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;
color:var(--ink);background:var(--paper);-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0 auto;max-width:78rem;padding:2.4rem 1.5rem 4rem}
h1,h2,h3{font-family:"Iowan Old Style","Palatino Linotype",Palatino,"P052","Source Serif 4",
Georgia,serif;font-weight:600;line-height:1.2;margin:0;overflow-wrap:anywhere}
h1{font-size:var(--s4);letter-spacing:-.01em}h2{font-size:var(--s3);margin:3.2rem 0 .8rem;
padding-top:1rem;border-top:2px solid var(--ink)}h3{font-size:var(--s2)}
p{margin:.5rem 0;max-width:44rem}.lead{font-size:var(--s2);color:var(--soft);line-height:1.4;
max-width:52rem}
a{color:var(--accent);text-underline-offset:.15em}
small,.small,figcaption,td small{font-size:var(--s0);color:var(--soft)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:1px;
margin:1.8rem 0;background:var(--line);border:1px solid var(--line);border-radius:.5rem;
overflow:hidden}
.facts div{background:var(--card);padding:.8rem 1rem}
.facts b{display:block;font-size:var(--s3);font-weight:600;line-height:1.2;
font-variant-numeric:tabular-nums}.facts span{font-size:var(--s0);color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;font-size:var(--s0);margin:1rem 0}
.notes{background:var(--warn);border-left:4px solid var(--edge);padding:.7rem 1.1rem;
margin:1.2rem 0;border-radius:0 .4rem .4rem 0}.notes ul{margin:.2rem 0;padding-left:1.1rem}
.notes li{max-width:60rem;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:.8rem 0}
table{border-collapse:collapse;font-size:var(--s0);font-variant-numeric:tabular-nums;
line-height:1.4}
th,td{white-space:nowrap;padding:.4rem 1.2rem .4rem 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line)}th{font-weight:600;border-bottom:1.5px solid var(--ink);
vertical-align:bottom}
td.n,th.n{text-align:right}td small{display:block;font-size:.72rem;white-space:nowrap}
td.name{font-weight:600}.wrap td,.wrap th{white-space:normal;overflow-wrap:anywhere}
.wrap td:nth-child(2){white-space:nowrap}
.label{margin:2.2rem 0 2.6rem;padding:1.3rem 1.5rem 1rem;background:var(--card);
border:1px solid var(--line);border-radius:.6rem}
.label header{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:end;
gap:.4rem 2rem;margin-bottom:.6rem}.label header svg{flex:none}
.label h3{font-size:var(--s3)}
.site{margin:1rem 0 .2rem;font-weight:600}.site small{font-weight:400;margin-left:.6rem}
svg{font:11px system-ui,sans-serif;fill:var(--soft);display:block}
svg.chart{width:100%;min-width:42rem;height:auto}svg.legend{width:20.6rem;max-width:100%}
.efforts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(30rem,100%),1fr));
gap:0 2rem}.efforts svg.chart{min-width:26rem}.efforts svg{font-size:13px}
.cells{image-rendering:pixelated}.by-night{display:none}
@media screen and (prefers-color-scheme:dark){.by-night{display:inline}.by-day{display:none}}
.unrecorded{fill:url(#hatch)}.hatch-back{fill:var(--grey)}.hatch-line{stroke:var(--hatch);
stroke-width:1.4}.zero{fill:var(--zero);stroke:var(--line)}.break{fill:var(--card)}
.tick,.axis{stroke:var(--soft);stroke-width:.8;fill:none}
.sun{stroke:var(--sun);stroke-width:1.4;fill:none;stroke-dasharray:5 3}
.sun-rim{stroke:var(--rim);stroke-width:3;fill:none}
.bar{fill:var(--bar)}.whisker{stroke:var(--ink);stroke-width:1.1;fill:none}
.density{stroke:var(--density);stroke-width:1.5;fill:var(--density)}
.band{fill:var(--band)}.mean{stroke:var(--accent);stroke-width:2.4;fill:none}
.day{fill:var(--soft);opacity:.75}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(19rem,100%),1fr));gap:1.2rem;
margin:1.2rem 0 .6rem}
.examples figure{margin:0;min-width:0}
.sound{position:relative;background:#08080f;border-radius:.35rem;overflow:hidden;line-height:0}
.sound img{width:100%;height:8.6rem;object-fit:fill}
.sound i{position:absolute;top:0;bottom:0;background:#0007;border:0 solid #fffb;
border-right-width:1px}.sound i.after{border-width:0 0 0 1px}
.sound em{position:absolute;left:.45rem;font:.68rem/1 system-ui,sans-serif;color:#fff;
text-shadow:0 0 3px #000,0 0 2px #000}.sound em.low{bottom:.4rem}.sound em.high{top:.4rem}
.sound em.len{left:auto;right:.45rem;bottom:.4rem}
.silent{height:8.6rem;display:grid;place-items:center;border:1px dashed var(--line);
border-radius:.35rem;color:var(--soft);font-size:var(--s0);text-align:center;padding:1rem}
audio{width:100%;height:2.2rem;margin:.5rem 0 .1rem}
figcaption{line-height:1.45;overflow-wrap:anywhere}figcaption b{color:var(--ink)}
dl{display:grid;grid-template-columns:minmax(8rem,auto) 1fr;gap:.35rem 1.4rem;font-size:var(--s0);
margin:.8rem 0}dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
pre{font:.8rem/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,monospace;background:var(--card);
border:1px solid var(--line);border-radius:.4rem;padding:.8rem 1rem;white-space:pre-wrap;
overflow-wrap:anywhere}
details summary{cursor:pointer;color:var(--accent)}
@media (max-width:640px){body{padding:1.4rem 1rem 3rem}.label{padding:1rem .9rem .6rem;
margin-inline:-.4rem}h1{font-size:2rem}dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.5rem}}
@media print{html{font-size:11.5px;background:#fff}body{max-width:none;padding:0}
.facts{gap:0;background:none}.facts div+div{border-left:1px solid var(--line)}
.efforts{grid-template-columns:1fr 1fr}.efforts svg.chart{min-width:0}.efforts svg{font-size:16px}
.examples{grid-template-columns:repeat(3,1fr);gap:1rem}
audio,nav{display:none}.label{border:0;padding:0;break-inside:auto}
svg.chart{min-width:0}.scroll{overflow:visible}
figure,.facts,.notes,table,.site-chart{break-inside:avoid}h2,h3,.site,h2+p,
p:has(+pre),p:has(+.scroll){break-after:avoid}pre{break-inside:avoid}h2{margin-top:2rem}
.sound,.sound i,.notes,.cells,.bar,svg rect,svg image{
print-color-adjust:exact;-webkit-print-color-adjust:exact}
@page{margin:16mm 14mm}}
"""
