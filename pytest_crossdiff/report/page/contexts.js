// A difference's contexts: the same text twice, shaded by what each model does there.

const BAND = (band) => (band === "top" ? "strongest" : `from its range of ${band}`);

const LONGEST = 400; // characters of one token: more are a broken text, not something to read

// [[text, activation, other, fires], …] for a context: its tokens and what lies between them.
function pieces(c) {
  const chars = Array.from(c.before + c.token + c.after);
  const start = Array.from(c.before).length;
  const end = start + Array.from(c.token).length;
  let spans = [];
  for (let i = 0; i + 3 < c.spans.length; i += 4) spans.push(c.spans.slice(i, i + 4));
  if (!spans.length) spans = [[start, end, c.activation, null]];
  spans.sort((a, b) => a[0] - b[0]);
  const found = [];
  let at = 0;
  const take = (to, ...values) => {
    if (to > at) found.push([chars.slice(at, to).join(""), ...values]);
    at = Math.max(at, to);
  };
  for (const [from, to, activation, other] of spans) {
    if (from < at || to <= from || to > chars.length) continue;
    take(from, 0, 0, false);
    take(to, activation, other, from < end && to > start);
  }
  take(chars.length, 0, 0, false);
  return found;
}

function contextText(c, side, which, most) {
  const parts = pieces(c).map(([whole, activation, other, fires]) => {
    const text = cut(whole, LONGEST);
    const value = which === "own" ? activation : other;
    if (value === 0 && !fires) return shown(text);
    const strength = Math.max(0, Math.min(1, (value || 0) / most));
    const words = value === null ? "not measured" : number(value);
    return h(fires ? "mark" : "span", { class: `tok${strength > 0.01 ? " lit" : ""}`, "--a": `${(strength * 100).toFixed(0)}%`, title: words }, shown(text));
  });
  return h("p", { class: `ctx ${side}`, dir: "auto" }, c.before ? "…" : "", parts, c.after ? "…" : "");
}

function contextFigure(c, d, most) {
  const measured = c.spans.length > 0;
  const other = OTHER[d.side];
  return h("li", { class: "context" },
    h("div", { class: "quiet" }, BAND(c.band), " · ", h("span", { class: "doc", title: visible(c.document) }, cut(visible(c.document), 80))),
    h("div", { class: "twin" },
      h("div", {}, h("div", { class: "who" }, `${MARK[d.side]} ${d.side}: activation ${number(c.activation)}`), contextText(c, d.side, "own", most)),
      h("div", {}, h("div", { class: "who" }, `${MARK[other]} ${other}: `, measured ? `a probe predicts ${number(c.other)}` : NOT_MEASURED()),
        measured ? contextText(c, other, "other", most) : null)));
}

function contextList(d) {
  if (!d.contexts.length && !d.omitted) return h("p", {}, "No context was kept.");
  const values = d.contexts.flatMap((c) => [c.activation, ...c.spans.filter((_, i) => i % 4 === 2)]);
  const most = Math.max(...values, 1e-9);
  return [
    h("p", { class: "quiet" }, `Each text is shown twice: shaded by the activation in the ${d.side}, and by the activation that a probe predicts from the ${OTHER[d.side]}. The underlined token is the one on which the difference fires.`),
    h("ol", { class: "contexts" }, d.contexts.map((c) => contextFigure(c, d, most))),
    d.omitted ? h("p", { class: "quiet" }, `${plural(d.omitted, "more context")} in report.json; left out here to keep this file small.`) : null,
  ];
}
