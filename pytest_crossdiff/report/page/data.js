// The report's data in the form in which the page uses it.

const REPORT = JSON.parse(document.getElementById("data").textContent);
const RESULT = REPORT.result;
const SIDES = ["candidate", "baseline"];
const OTHER = { candidate: "baseline", baseline: "candidate" };
const MARK = { candidate: "●", baseline: "◆" };
const WHAT = { candidate: "learned", baseline: "lost" };

const DIFFERENCES = RESULT.differences.map((d) => ({
  ...d,
  accepted: REPORT.accepted.find((a) => a.difference === d.id && a.state !== "missing") || null,
  fires: d.tokens.map((t) => `‘${visible(t.token)}’`).join(" "),
}));
const BY_ID = new Map(DIFFERENCES.map((d) => [d.id, d]));
const OF_FEATURE = new Map(DIFFERENCES.flatMap((d) => d.features.map((id) => [id, d])));

const FEATURES = (RESULT.features.index || []).map((_, row) => {
  const feature = {};
  for (const [name, column] of Object.entries(RESULT.features)) feature[name] = column[row];
  feature.id = `${feature.seed}.${feature.index}`;
  feature.difference = OF_FEATURE.get(feature.id) || null;
  feature.state = !feature.rejected ? "verified" : feature.undecided ? "undecided" : "rejected";
  return feature;
});
const FEATURE_BY_ID = new Map(FEATURES.map((f) => [f.id, f]));

const seedsOf = (d) => `${d.seeds.length} of ${RESULT.training.seeds.length}`;
const href = (kind, id) => `#/${kind}/${encodeURIComponent(id)}`;

function state(d) {
  return d.accepted ? d.accepted.state : d.certainty;
}

function sideChip(side) {
  return h("span", { class: `chip ${side}` }, `${MARK[side]} ${side} only`);
}

function stateChip(word) {
  return h("span", { class: `chip state ${word}` }, word);
}

// Where a model was read: the output counts as one behind the last block.
const place = (x) => (x.layer === x.layers ? "output" : `block ${x.layer} of ${x.layers}`);

function shortName(reference) {
  const path = reference.replace(/\\/g, "/").replace(/\/+$/, "").split("/");
  const last = path[path.length - 1] || reference;
  return last.replace(/@([0-9a-f]{8})[0-9a-f]{32}$/, "@$1");
}

const worst = () => {
  const order = ["exceeded", "insufficient", "inconclusive"];
  const drawn = REPORT.checks.map((c) => c.status);
  return order.find((w) => drawn.includes(w)) || drawn.find((w) => w !== "within") || drawn[0] || "";
};
