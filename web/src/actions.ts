// All that keys and buttons do, by the file that does it.

export * from "./judging.ts";
export * from "./learning.ts";
export * from "./lists.ts";
export * from "./live.ts";
export * from "./moving.ts";
export * from "./page.ts";
export * from "./searches.ts";
