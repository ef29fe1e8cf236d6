// Light or dark, as the reader's system has it.

import { useEffect, useState } from "preact/hooks";
import { isDark } from "./colours.ts";

/** Whether the page is dark; what uses it is drawn again when that changes. */
export function useDark(): boolean {
  const [dark, setDark] = useState(isDark());
  useEffect(() => {
    const query = window.matchMedia("(prefers-color-scheme: dark)");
    const look = (): void => setDark(query.matches);
    query.addEventListener("change", look);
    return () => query.removeEventListener("change", look);
  }, []);
  return dark;
}
