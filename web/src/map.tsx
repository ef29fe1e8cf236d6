// The map of all windows.

export function MapView() {
  return <section class="view" aria-label="Map"><p>The map is not drawn yet.</p></section>;
}
