// Recordings and damage, effort and activity, labels so far, exports.

export function OverviewView() {
  return <section class="view" aria-label="Overview"><p>The overview is not drawn yet.</p></section>;
}
