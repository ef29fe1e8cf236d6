// What the colours of the map mean. A name can be looked at alone.

import { useState } from "preact/hooks";
import { N_COLOURED, shadeColour, type LegendLine, type Shades } from "./colours.ts";
import { number } from "./words.ts";

const SHOWN_AT_FIRST = 12;

interface Props {
  of: Shades;
  only: number; // the shade that is looked at alone, -1: none
  dark: boolean;
  choose: (shade: number) => void;
  take: (line: LegendLine) => void;
}

export function Legend({ of, only, dark, choose, take }: Props) {
  if (of.lines.length === 0) return <Scale of={of} dark={dark} />;
  return <Names of={of} only={only} dark={dark} choose={choose} take={take} />;
}

function Names({ of, only, dark, choose, take }: Props) {
  const [all, setAll] = useState(false);
  const lines = all ? of.lines : of.lines.slice(0, Math.max(SHOWN_AT_FIRST, only));
  const alone = of.lines.find((line) => line.shade === only);
  return (
    <div class="legend">
      <ul>
        {lines.map((line) => (
          <li key={line.shade}>
            <button type="button" aria-pressed={line.shade === only} onClick={() => choose(line.shade === only ? -1 : line.shade)}>
              <Swatch colour={shadeColour(of, line.shade, dark)} />
              <span class="name">{line.name}</span>
              <span class="count">{number(line.count)}</span>
            </button>
          </li>
        ))}
        {of.n_none > 0 && (
          <li class="none"><Swatch colour={shadeColour(of, 0, dark)} /><span class="name">none</span><span class="count">{number(of.n_none)}</span></li>
        )}
      </ul>
      {of.lines.length > N_COLOURED && only < 0 && <p class="hint">The {N_COLOURED} largest have colours. Press a name to see it alone.</p>}
      {of.lines.length > lines.length && <button type="button" class="quiet" onClick={() => setAll(true)}>all {of.lines.length} names</button>}
      {alone && <button type="button" onClick={() => take(alone)}>Hear and judge these {number(alone.count)}</button>}
    </div>
  );
}

/** The colours of numbers, with both ends. */
function Scale({ of, dark }: { of: Shades; dark: boolean }) {
  const stops = Array.from({ length: 25 }, (_, i) => shadeColour(of, 1 + Math.round((i / 24) * 254), dark));
  const ends = of.by === "hour" ? ["0:00", "12:00", "24:00"] : [(of.low ?? 0).toFixed(2), (of.high ?? 1).toFixed(2)];
  return (
    <div class="legend">
      <svg class="ramp" viewBox="0 0 25 1" preserveAspectRatio="none" role="img" aria-label={`colours from ${ends[0]} to ${ends[ends.length - 1]}`}>
        {stops.map((colour, i) => <rect key={i} x={i} y="0" width="1.05" height="1" fill={colour} />)}
      </svg>
      <div class="ends">{ends.map((end) => <span key={end}>{end}</span>)}</div>
      {of.n_none > 0 && <p class="hint"><Swatch colour={shadeColour(of, 0, dark)} /> none: {number(of.n_none)}</p>}
    </div>
  );
}

function Swatch({ colour }: { colour: string }) {
  return <svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><circle cx="5" cy="5" r="5" fill={colour} /></svg>;
}
